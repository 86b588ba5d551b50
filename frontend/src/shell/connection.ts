// "Connection lost, reconnecting": one quiet notice, and the live parts fade, so that nothing old looks new.
import { effect } from "@preact/signals";
import { h, icon } from "../core/dom";
import { t } from "../core/i18n";
import { connection } from "../core/socket";

export function startConnectionNotice(): void {
  let notice: HTMLElement | null = null;
  let timer = 0;
  effect(() => {
    const state = connection.value;
    clearTimeout(timer);
    document.documentElement.dataset.live = state;
    if (state !== "lost") {
      notice?.remove();
      notice = null;
    } else if (!notice) {
      // A connection that is back within a moment is not worth a word.
      timer = window.setTimeout(() => {
        notice = h("div", { class: "connection", role: "status" }, icon("wifi-off"), t("Connection lost, reconnecting"));
        document.body.append(notice);
      }, 600);
    }
  });
}
