// Ctrl-K: pages at once, objects as the server finds them. Arrow keys choose, Enter opens.
import { h, icon } from "../core/dom";
import { open } from "../core/dialog";
import { t } from "../core/i18n";

interface Hit {
  name: string;
  where: string;
  href: string;
  icon: string;
}

export function openPalette(): void {
  if (document.querySelector("dialog.palette")) return;
  const input = h("input", {
    type: "text",
    role: "combobox",
    placeholder: t("Search pages and objects"),
    "aria-label": t("Search pages and objects"),
    "aria-expanded": "true",
    "aria-controls": "palette-list",
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
  });
  const list = h("div", { class: "palette-list", id: "palette-list", role: "listbox", "aria-label": t("Results") });
  const dialog = h(
    "dialog",
    { class: "palette", "aria-label": t("Search") },
    h("div", { class: "palette-input" }, icon("search"), input),
    list,
    h("div", { class: "palette-foot" }, t("↑ ↓ to choose, Enter to open, Esc to close")),
  );
  const pages = pageHits();
  let hits: Hit[] = pages;
  let chosen = 0;
  let asked = 0;

  const draw = (): void => {
    list.replaceChildren(
      ...hits.map((hit, index) =>
        h(
          "div",
          { role: "option", id: `hit-${index}`, "aria-selected": String(index === chosen), click: () => location.assign(hit.href) },
          icon(hit.icon),
          h("span", { class: "name" }, hit.name),
          h("span", { class: "where" }, hit.where),
        ),
      ),
    );
    if (!hits.length) list.append(h("p", { class: "nothing" }, t("Nothing of that name. Search looks at the names of pages and objects.")));
    input.setAttribute("aria-activedescendant", hits.length ? `hit-${chosen}` : "");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };

  const search = async (): Promise<void> => {
    const query = input.value.trim().toLowerCase();
    const mine = ++asked;
    const found = pages.filter((page) => page.name.toLowerCase().includes(query));
    chosen = 0;
    hits = found;
    if (!query) return draw();
    try {
      const answer = await fetch(`/search?q=${encodeURIComponent(query)}`, { headers: { Accept: "application/json" } });
      if (mine !== asked) return;
      const { hits: objects } = (await answer.json()) as { hits: Hit[] };
      hits = [...found, ...objects];
    } catch {
      // Pages can still be chosen while the server is away.
    }
    draw();
  };

  input.addEventListener("input", () => void search());
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && hits.length) {
      event.preventDefault();
      chosen = (chosen + step + hits.length) % hits.length;
      draw();
    } else if (event.key === "Enter" && hits[chosen]) {
      event.preventDefault();
      location.assign((hits[chosen] as Hit).href);
    }
  });
  draw();
  open(dialog);
  input.focus();
}

function pageHits(): Hit[] {
  return [...document.querySelectorAll<HTMLAnchorElement>("[data-page]")].map((link) => ({
    name: link.textContent?.trim() ?? "",
    where: t("Page"),
    href: link.href,
    icon: link.dataset.icon ?? "arrow-right",
  }));
}
