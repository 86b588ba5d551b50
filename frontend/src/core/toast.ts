// Short sentences at the corner of the page: what was done, or why not.
import { h, icon } from "./dom";
import { t } from "./i18n";

let region: HTMLElement | null = null;

function place(): HTMLElement {
  region ??= document.body.appendChild(h("div", { class: "toasts", role: "status", "aria-live": "polite" }));
  return region;
}

export function toast(text: string, look: "healthy" | "failed" | "pending" | "progress" = "healthy"): void {
  const words = { healthy: t("Done"), failed: t("Failed"), pending: t("Warning"), progress: t("Working") };
  const close = h("button", { class: "copy", type: "button", "aria-label": t("Close"), click: () => box.remove() }, icon("x"));
  const box = h(
    "div",
    { class: "toast", ...(look === "failed" ? { role: "alert" } : {}) },
    h("span", { class: `state ${look}` }, h("span", { class: "sr" }, words[look])),
    h("div", { class: "body" }, text),
    close,
  );
  place().append(box);
  while (place().children.length > 4) place().firstElementChild?.remove();
  setTimeout(() => box.remove(), look === "failed" ? 14_000 : 4_500);
}
