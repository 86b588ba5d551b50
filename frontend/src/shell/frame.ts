// The frame: theme switch, the menu on small screens, drop-down menus, the search palette.
import { t } from "../core/i18n";
import { toast } from "../core/toast";
import { openPalette } from "./palette";

const root = document.documentElement;

export function startFrame(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-toggle-theme]")) nextTheme();
    if (target.closest("[data-open-palette]")) openPalette();
    if (target.closest("[data-toggle-menu]")) setMenu(root.dataset.menu !== "open");
    closeMenus(target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    setMenu(false);
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

function setMenu(open: boolean): void {
  root.dataset.menu = open ? "open" : "closed";
  document.querySelector("[data-toggle-menu]")?.setAttribute("aria-expanded", String(open));
}

function closeMenus(target: Element): void {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (!menu.contains(target) || target.closest(".menu-list a, .menu-list button")) menu.open = false;
  }
}

// system → light → dark; theme.js has set it before the first paint.
function nextTheme(): void {
  const chosen = localStorage.getItem("theme") ?? "system";
  const next = chosen === "system" ? "light" : chosen === "light" ? "dark" : "system";
  if (next === "system") localStorage.removeItem("theme");
  else localStorage.setItem("theme", next);
  dispatchEvent(new Event("gantry:theme"));
  toast({ system: t("Theme: as the system"), light: t("Theme: light"), dark: t("Theme: dark") }[next]);
}
