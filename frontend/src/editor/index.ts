// <gantry-editor [data-readonly]><textarea>: CodeMirror over the textarea, loaded when the tag stands on a page. The textarea stays
// the form's field: what is typed reaches it with an input event, and what is put into it reaches the editor. Problems come
// as the event gantry:problems with [{line, message}]; Ctrl-Enter submits the form.
import { h } from "../core/dom";
import type { Problem } from "../core/yaml";
import "./editor.css";

export interface Editor {
  setValue(text: string): void;
  setProblems(problems: Problem[]): void;
  destroy(): void;
}

const inherited = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");

class GantryEditor extends HTMLElement {
  private editor: Editor | null = null;
  private problems: Problem[] = [];

  connectedCallback(): void {
    this.addEventListener("gantry:problems", this.onProblems);
    this.addEventListener("keydown", this.onKey);
    void this.open();
  }

  disconnectedCallback(): void {
    this.editor?.destroy();
    this.editor = null;
  }

  private async open(): Promise<void> {
    const area = this.querySelector("textarea");
    if (!area || this.editor) return;
    const { createEditor } = await import("./codemirror");
    if (!this.isConnected || this.editor) return;
    const place = h("div", { class: "editor-place" });
    this.append(place);
    const focused = document.activeElement === area;
    const editor = createEditor(place, {
      value: area.value,
      readonly: this.dataset.readonly !== undefined || area.readOnly,
      label: area.getAttribute("aria-label") ?? "YAML",
      hint: area.placeholder,
      change: (text) => {
        inherited?.set?.call(area, text);
        area.dispatchEvent(new Event("input", { bubbles: true }));
      },
      submit: () => this.submit(),
    });
    this.editor = editor;
    // Scripts set area.value without any event: see it here.
    Object.defineProperty(area, "value", {
      configurable: true,
      get: () => inherited?.get?.call(area) as string,
      set: (text: string) => {
        inherited?.set?.call(area, text);
        editor.setValue(text);
      },
    });
    area.hidden = true;
    if (focused) place.querySelector<HTMLElement>("[contenteditable]")?.focus();
    if (this.problems.length) editor.setProblems(this.problems);
  }

  private readonly onProblems = (event: Event): void => {
    this.problems = (event as CustomEvent<Problem[]>).detail;
    this.editor?.setProblems(this.problems);
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
      event.preventDefault();
      this.submit();
    }
  };

  private submit(): void {
    if (this.dataset.readonly === undefined) this.closest("form")?.requestSubmit();
  }
}

customElements.define("gantry-editor", GantryEditor);
