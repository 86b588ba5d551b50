// Brings an element's children to what some HTML says, changing only what differs. Children are matched by id or data-key,
// then by place. Left alone: elements with data-keep (they draw themselves), typed-in fields, whether a menu is open.
export function morph(target: Element, html: string): void {
  const template = document.createElement("template");
  template.innerHTML = html;
  children(target, template.content);
}

function keyOf(node: Node): string | null {
  if (!(node instanceof Element)) return null;
  return node.id || node.getAttribute("data-key");
}

function children(target: Node, wanted: Node): void {
  const keyed = new Map<string, Node>();
  for (const child of target.childNodes) {
    const key = keyOf(child);
    if (key) keyed.set(key, child);
  }
  let place: Node | null = target.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = keyOf(next);
    let match = key ? (keyed.get(key) ?? null) : null;
    if (!match && place && !keyOf(place) && !key && same(place, next)) match = place;
    if (match && same(match, next)) {
      if (match !== place) target.insertBefore(match, place);
      else place = place.nextSibling;
      node(match, next);
    } else {
      target.insertBefore(next, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    target.removeChild(gone);
  }
}

function same(a: Node, b: Node): boolean {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function node(target: Node, wanted: Node): void {
  if (!(target instanceof Element) || !(wanted instanceof Element)) {
    if (target.nodeValue !== wanted.nodeValue) target.nodeValue = wanted.nodeValue;
    return;
  }
  if (target.isEqualNode(wanted)) return;
  attributes(target, wanted);
  if (!target.hasAttribute("data-keep")) children(target, wanted);
}

function attributes(target: Element, wanted: Element): void {
  for (const { name } of [...target.attributes]) {
    if (!wanted.hasAttribute(name) && !isOwn(target, name)) target.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (target.getAttribute(name) !== value && !isOwn(target, name)) target.setAttribute(name, value);
  }
}

function isOwn(target: Element, name: string): boolean {
  if (name === "open") return target instanceof HTMLDetailsElement || target instanceof HTMLDialogElement;
  if (name === "value") return target === document.activeElement;
  // The tick replaces an age's text; a reveal button's state and a running request are the page's own.
  return name === "aria-busy" || name === "aria-pressed" || name === "title";
}
