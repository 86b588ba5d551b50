// Small helpers over the DOM; text always enters as text, never as HTML.
type Child = Node | string | null | undefined | false;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean | ((event: Event) => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

export function icon(name: string): HTMLElement {
  return h("i", { class: `icon i-${name}`, "aria-hidden": "true" });
}

export function isTyping(event: Event): boolean {
  const target = event.target as HTMLElement | null;
  return !!target?.closest("input, textarea, select, [contenteditable=true], .xterm, .cm-editor");
}

export function readJson<T>(element: Element | null): T | null {
  if (!element?.textContent) return null;
  return JSON.parse(element.textContent) as T;
}
