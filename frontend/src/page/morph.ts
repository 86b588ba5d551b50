// Brings an element's children to what some HTML says, changing only what differs. Children are matched by id or data-key,
// then by name and order. Left alone: elements with data-keep (they draw themselves), typed-in fields, whether a menu is open.
export function morph(target: Element, html: string): void {
  const template = document.createElement("template");
  template.innerHTML = html;
  children(target, template.content);
}

function keyOf(node: Node): string | null {
  if (!(node instanceof Element)) return null;
  return node.id || node.getAttribute("data-key");
}

// Which children are the same: by id or data-key, else by name and by what they hold that must be kept.
function signOf(node: Node): string {
  const key = keyOf(node);
  if (key) return `#${key}`;
  if (!(node instanceof Element)) return node.nodeName;
  const kept = [...node.querySelectorAll("[data-keep][id]")].map((one) => one.id);
  return [node.nodeName, ...kept].join(" ");
}

// The longest row of children that both have in the same order. They stay where they are: a custom element that is moved is
// disconnected and starts anew.
function staying(old: Node[], fresh: Node[]): Map<Node, Node> {
  const from = old.map(signOf);
  const to = fresh.map(signOf);
  const lengths = Array.from({ length: from.length + 1 }, () => new Uint16Array(to.length + 1));
  const at = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = from.length - 1; i >= 0; i--) {
    const row = lengths[i] as Uint16Array;
    for (let j = to.length - 1; j >= 0; j--) row[j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const matches = new Map<Node, Node>();
  for (let i = 0, j = 0; i < from.length && j < to.length; ) {
    if (from[i] === to[j]) matches.set(fresh[j++] as Node, old[i++] as Node);
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return matches;
}

function children(target: Node, wanted: Node): void {
  const old = [...target.childNodes];
  const fresh = [...wanted.childNodes];
  const matches = staying(old, fresh);
  const stays = new Set(matches.values());
  const moved = new Map<string, Node>();
  for (const child of old) {
    if (stays.has(child)) continue;
    const key = keyOf(child);
    if (key) moved.set(key, child);
    target.removeChild(child);
  }
  let place: Node | null = target.firstChild;
  for (const next of fresh) {
    const match = matches.get(next);
    if (match) {
      place = match.nextSibling;
      node(match, next);
      continue;
    }
    const known = moved.get(keyOf(next) ?? "");
    if (known && known.nodeName === next.nodeName) {
      node(known, next);
      target.insertBefore(known, place);
    } else {
      target.insertBefore(next, place);
    }
  }
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
    const old = target.getAttribute(name);
    if (old === value || isOwn(target, name)) continue;
    // A field keeps what was typed; one that says what the page said follows the page.
    const follows = name === "value" && target instanceof HTMLInputElement && target.value === old;
    target.setAttribute(name, value);
    if (follows) target.value = value;
  }
}

function isOwn(target: Element, name: string): boolean {
  if (name === "open") return target instanceof HTMLDetailsElement || target instanceof HTMLDialogElement;
  if (name === "value") return target === document.activeElement;
  // The tick replaces an age's text; a reveal button's state and a running request are the page's own.
  return name === "aria-busy" || name === "aria-pressed" || name === "title";
}
