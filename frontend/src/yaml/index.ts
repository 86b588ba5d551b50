// <gantry-yaml data-url>: an object's YAML, to be saved by PUT. The version that was read goes back with it, so that nobody's
// later change is overwritten unseen.
import { ApiProblem, call } from "../core/api";
import { problemsOf } from "../core/apply";
import { h } from "../core/dom";
import { t } from "../core/i18n";
import { toast } from "../core/toast";
import { parseYaml, toYaml, type Manifest, type Problem } from "../core/yaml";

class GantryYaml extends HTMLElement {
  connectedCallback(): void {
    const form = this.querySelector("form");
    const area = this.querySelector("textarea");
    const save = this.querySelector<HTMLButtonElement>("[data-save]");
    const dryRun = this.querySelector<HTMLButtonElement>("[data-dry-run]");
    if (!form || !area || !save) return;
    let original = area.value;
    if (dryRun) dryRun.hidden = false;
    area.addEventListener("input", () => {
      save.disabled = area.value === original;
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send(area, save, false).then((saved) => {
        if (saved !== null) {
          original = saved;
          save.disabled = true;
        }
      });
    });
    dryRun?.addEventListener("click", () => void this.send(area, dryRun, true));
    addEventListener("beforeunload", (event) => {
      if (area.value !== original) event.preventDefault();
    });
  }

  private async send(area: HTMLTextAreaElement, button: HTMLButtonElement, dryRun: boolean): Promise<string | null> {
    const { parts, problems } = parseYaml(area.value);
    const part = parts[0];
    if (problems.length || !part || parts.length > 1) {
      this.show(problems.length ? problems : [{ line: 1, message: t("Exactly one document is needed here.") }], area);
      return null;
    }
    button.setAttribute("aria-busy", "true");
    try {
      const url = `${this.dataset.url}?fieldValidation=Strict&fieldManager=console${dryRun ? "&dryRun=All" : ""}`;
      const { body, warnings } = await call<Manifest>("PUT", url, part.object);
      this.show([], area);
      for (const warning of warnings) toast(warning, "pending");
      if (dryRun) {
        toast(t("The server would take it."));
        return null;
      }
      toast(t("Saved"));
      if (body.metadata) delete body.metadata["managedFields"];
      area.value = toYaml([body]);
      area.dispatchEvent(new CustomEvent("gantry:replaced", { bubbles: true }));
      return area.value;
    } catch (problem) {
      if (problem instanceof ApiProblem && problem.code === 409) {
        this.show([{ line: 1, message: t("Somebody or something changed it in the meantime. Copy your change, reload the page and make it again.") }], area);
      } else {
        this.show(problemsOf(problem, part), area);
      }
      return null;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  private show(problems: Problem[], area: HTMLTextAreaElement): void {
    const place = this.querySelector("[data-problems]");
    if (!place) return;
    place.replaceChildren();
    area.dispatchEvent(new CustomEvent("gantry:problems", { bubbles: true, detail: problems }));
    if (!problems.length) return;
    const list = h("ul", { class: "body problems" });
    for (const problem of problems) {
      list.append(h("li", {}, h("strong", { class: "nowrap" }, t("Line {n}", { n: problem.line })), h("span", {}, problem.message)));
    }
    place.append(h("div", { class: "notice failed" }, h("i", { class: "icon i-x-octagon", "aria-hidden": "true" }), list));
  }
}

customElements.define("gantry-yaml", GantryYaml);
