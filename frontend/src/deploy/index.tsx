// <gantry-deploy>: the form and its YAML, two views of the same objects; or, with data-sample, the one-click sample.
import { render } from "preact";
import { ApiProblem } from "../core/api";
import { apply, check, type Kinds } from "../core/apply";
import { readJson } from "../core/dom";
import { t } from "../core/i18n";
import { toast } from "../core/toast";
import { parseYaml, toYaml, type Manifest } from "../core/yaml";
import { DeployPage, type Start } from "./form";

const KINDS: Kinds = {
  "apps/v1 Deployment": { plural: "deployments", namespaced: true },
  "v1 Service": { plural: "services", namespaced: true },
};

class GantryDeploy extends HTMLElement {
  connectedCallback(): void {
    if (this.dataset.sample !== undefined) {
      document.addEventListener("click", this.onSample);
      return;
    }
    const start = readJson<Start>(this.querySelector("script[type='application/json']"));
    if (!start) return;
    this.textContent = "";
    render(<DeployPage start={start} />, this);
  }

  disconnectedCallback(): void {
    document.removeEventListener("click", this.onSample);
  }

  private readonly onSample = (event: Event): void => {
    const button = (event.target as Element).closest<HTMLButtonElement>("[data-deploy-sample]");
    const sample = readJson<Manifest[]>(this.querySelector("script[type='application/json']"));
    if (button && sample) void deploySample(button, sample);
  };
}

async function deploySample(button: HTMLButtonElement, sample: Manifest[]): Promise<void> {
  button.setAttribute("aria-busy", "true");
  try {
    const { parts } = parseYaml(toYaml(sample));
    const { problems } = await check(parts, KINDS, "default");
    if (problems[0]) throw new ApiProblem(problems[0].message, 422, "Invalid");
    await apply(parts, KINDS, "default");
    location.assign("/n/default/deployments/sample");
  } catch (problem) {
    toast(problem instanceof ApiProblem ? problem.message : t("The sample could not be deployed: {problem}", { problem: String(problem) }), "failed");
    button.removeAttribute("aria-busy");
  }
}

customElements.define("gantry-deploy", GantryDeploy);
