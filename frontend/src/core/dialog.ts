// Questions before something that cannot be taken back.
import { h } from "./dom";
import { t } from "./i18n";

export interface Question {
  title: string;
  text?: string;
  button: string;
  danger?: boolean;
  // The name that must be typed; only for what is irreversible.
  name?: string;
}

export function open(dialog: HTMLDialogElement): void {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.showModal();
}

export function confirmed(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const typed = question.name
      ? h("input", { class: "input", id: "confirm-name", autocomplete: "off", spellcheck: "false" })
      : null;
    const go = h(
      "button",
      { class: question.danger ? "button danger primary" : "button primary", value: "yes" },
      question.button,
    );
    if (typed) {
      go.disabled = true;
      typed.addEventListener("input", () => (go.disabled = typed.value !== question.name));
    }
    const dialog = h(
      "dialog",
      { "aria-labelledby": "confirm-title" },
      h(
        "form",
        { method: "dialog" },
        h(
          "div",
          { class: "dialog-body" },
          h("h2", { id: "confirm-title" }, question.title),
          question.text ? h("p", {}, question.text) : null,
          typed
            ? h("div", { class: "field" }, h("label", { for: "confirm-name" }, t("Type {name} to confirm", { name: question.name ?? "" })), typed)
            : null,
        ),
        h(
          "div",
          { class: "dialog-foot" },
          h("button", { class: "button", type: "button", click: () => dialog.close() }, t("Cancel")),
          go,
        ),
      ),
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
    (typed ?? go).focus();
  });
}
