// Buttons that write. The server's HTML says what a button does in data attributes, so that a re-rendered page needs no wiring:
//   data-call="PATCH" data-url data-body data-type   the request
//   data-confirm data-confirm-text data-confirm-name data-danger   the question before it
//   data-done   the sentence afterwards;   data-next   where to go then
import { ApiProblem, call } from "./api";
import { confirmed } from "./dialog";
import { t } from "./i18n";
import { toast } from "./toast";

export function startActions(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const button = target.closest<HTMLButtonElement>("button[data-call]");
    if (button && button.getAttribute("aria-disabled") !== "true") void run(button);
    const copy = target.closest<HTMLButtonElement>("button[data-copy]");
    if (copy) void copyText(copy);
    const reveal = target.closest<HTMLButtonElement>("button[data-reveal]");
    if (reveal) showSecret(reveal);
  });
  document.addEventListener("submit", (event) => {
    const form = (event.target as Element).closest<HTMLFormElement>("form[data-call]");
    if (!form) return;
    event.preventDefault();
    void run(form);
  });
}

async function run(element: HTMLElement): Promise<void> {
  const data = element.dataset;
  const name = data.confirmName;
  if (data.confirm) {
    const yes = await confirmed({
      title: data.confirm,
      button: data.confirmButton ?? element.textContent?.trim() ?? t("Continue"),
      danger: data.danger !== undefined,
      ...(data.confirmText ? { text: data.confirmText } : {}),
      ...(name ? { name } : {}),
    });
    if (!yes) return;
  }
  const busy = element instanceof HTMLFormElement ? element.querySelector<HTMLElement>("[type=submit]") : element;
  busy?.setAttribute("aria-busy", "true");
  try {
    const body = element instanceof HTMLFormElement ? bodyOf(element) : stepped(element) ?? data.body?.replace('{now}', new Date().toISOString());
    const answer = await call(data.call ?? "POST", data.url ?? "", body, data.type);
    for (const warning of answer.warnings) toast(warning, "pending");
    element.dispatchEvent(new CustomEvent("gantry:done", { bubbles: true, detail: answer.body }));
    if (data.next) location.assign(data.next);
    else if (data.done) toast(data.done);
    if (data.reload !== undefined) location.reload();
  } catch (problem) {
    stepBack(element);
    toast(problem instanceof ApiProblem ? problem.message : String(problem), "failed");
  } finally {
    busy?.removeAttribute("aria-busy");
  }
}

// − and + count from the number that stands between them, so that two quick presses are two steps although the page has
// not been drawn anew in between. The number is what is asked for; the server's answer replaces it.
function stepped(element: HTMLElement): string | undefined {
  const output = stepOutput(element);
  if (!output) return undefined;
  const wanted = Math.max(0, Number(output.textContent) + Number(element.dataset.step));
  output.textContent = String(wanted);
  return JSON.stringify({ spec: { replicas: wanted } });
}

function stepBack(element: HTMLElement): void {
  const output = stepOutput(element);
  if (output) output.textContent = String(Number(output.textContent) - Number(element.dataset.step));
}

function stepOutput(element: HTMLElement): HTMLElement | null {
  return element.dataset.step ? (element.parentElement?.querySelector("output") ?? null) : null;
}

// A form's template holds {field} as JSON strings: data-body='{"spec":{"replicas":{replicas:number}}}'.
function bodyOf(form: HTMLFormElement): string {
  const values = new FormData(form);
  return (form.dataset.body ?? "{}").replace(/"?\{(\w+)(:number)?\}"?/g, (_whole, field: string, number?: string) => {
    const value = values.get(field);
    const text = typeof value === "string" ? value.trim() : "";
    return number ? String(Number(text)) : JSON.stringify(text);
  });
}

async function copyText(button: HTMLButtonElement): Promise<void> {
  const text = button.dataset.copy ?? "";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP to another host there is no clipboard: select and copy the old way.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(t("Copied"));
}

function showSecret(button: HTMLButtonElement): void {
  const value = document.getElementById(button.dataset.reveal ?? "");
  if (!value) return;
  const hidden = value.toggleAttribute("hidden");
  button.setAttribute("aria-pressed", String(!hidden));
}
