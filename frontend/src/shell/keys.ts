// The keyboard: ? help, / filter, Ctrl-K palette, g + letter to go somewhere, n namespace. Tables add j, k and Enter.
import { h } from "../core/dom";
import { open } from "../core/dialog";
import { isTyping } from "../core/dom";
import { t } from "../core/i18n";
import { openPalette } from "./palette";

const JUMPS: Record<string, string> = {
  o: "overview",
  d: "deployments",
  p: "pods",
  s: "services",
  e: "events",
  n: "nodes",
  i: "images",
  c: "deploy",
};

let waitingForJump = 0;

export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]")) return;
    if (waitingForJump) {
      clearTimeout(waitingForJump);
      waitingForJump = 0;
      const page = JUMPS[event.key];
      const link = page && document.querySelector<HTMLAnchorElement>(`[data-page="${page}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    if (event.key === "g") waitingForJump = window.setTimeout(() => (waitingForJump = 0), 900);
    else if (event.key === "?") showHelp();
    else if (event.key === "/") focusFilter(event);
    else if (event.key === "n") openNamespaces();
  });
}

function focusFilter(event: KeyboardEvent): void {
  const filter = document.querySelector<HTMLInputElement>("[data-filter]");
  if (!filter) return;
  event.preventDefault();
  filter.focus();
  filter.select();
}

function openNamespaces(): void {
  const picker = document.querySelector<HTMLDetailsElement>("details.namespaces");
  if (!picker) return;
  picker.open = true;
  picker.querySelector<HTMLElement>(".menu-list a")?.focus();
}

function showHelp(): void {
  const keys: [string[], string][] = [
    [["Ctrl", "K"], t("Search pages and objects")],
    [["/"], t("Filter the list")],
    [["j", "k"], t("Next and previous row")],
    [["Enter"], t("Open the row")],
    [["n"], t("Choose a namespace")],
    [["g", "o"], t("Go to the overview")],
    [["g", "d"], t("Go to deployments")],
    [["g", "p"], t("Go to pods")],
    [["g", "s"], t("Go to services")],
    [["g", "e"], t("Go to events")],
    [["g", "n"], t("Go to nodes")],
    [["g", "i"], t("Go to images")],
    [["g", "c"], t("Deploy something")],
    [["Esc"], t("Close what is open")],
    [["?"], t("This help")],
  ];
  const list = h("dl", { class: "keys" });
  for (const [names, meaning] of keys) {
    const term = h("dt");
    names.forEach((name, index) => term.append(...(index ? [" "] : []), h("kbd", {}, name)));
    list.append(term, h("dd", {}, meaning));
  }
  const dialog = h(
    "dialog",
    { "aria-labelledby": "help-title" },
    h("div", { class: "dialog-body" }, h("h2", { id: "help-title" }, t("Keyboard")), list),
    h("div", { class: "dialog-foot" }, h("button", { class: "button", type: "button", autofocus: true, click: () => dialog.close() }, t("Close"))),
  );
  open(dialog);
}
