// <gantry-page view params>: a page's live content. The server renders it again when something changed; what differs is put
// into the page in place, so that focus, scroll position, open menus and text being typed stay.
import { subscribe, type Subscription } from "../core/socket";
import { toast } from "../core/toast";
import { morph } from "./morph";

class GantryPage extends HTMLElement {
  private subscription: Subscription | null = null;

  connectedCallback(): void {
    const params = JSON.parse(this.dataset.params ?? "{}") as Record<string, unknown>;
    const revision = Number(this.dataset.revision ?? 0);
    this.subscription = subscribe(this.dataset.view ?? "", params, (message) => {
      if (message.type === "html") {
        morph(this, String(message.html));
        document.dispatchEvent(new Event("gantry:content"));
      } else if (message.type === "error" && !message.gone) {
        toast(String(message.message), "failed");
      } else if (message.type === "error") {
        // Gone or not allowed any more: the server's own page says so.
        location.reload();
      }
    }, { revision });
  }

  disconnectedCallback(): void {
    this.subscription?.close();
  }
}

export function definePage(): void {
  customElements.define("gantry-page", GantryPage);
}

