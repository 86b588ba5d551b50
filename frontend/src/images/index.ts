// <gantry-images>: import an archive by choosing or dropping a file, or pull a name; progress as it happens.
import { csrfToken } from "../core/api";
import { h, icon } from "../core/dom";
import { t } from "../core/i18n";
import { toast } from "../core/toast";

interface Step {
  status?: string;
  layer?: string;
  current?: number;
  total?: number;
  done?: unknown;
  error?: string;
}

class GantryImages extends HTMLElement {
  connectedCallback(): void {
    if (this.querySelector("input")) return;
    const file = h("input", { type: "file", class: "sr", id: "archive", "aria-label": t("Archive"), accept: ".tar,.tgz,.gz,.zst,application/x-tar,application/gzip" });
    const progress = h("div", { class: "import-progress", role: "status" });
    const drop = h(
      "div",
      { class: "drop" },
      icon("upload"),
      h("p", {}, t("Drop an archive here that docker save, podman save or skopeo wrote, or")),
      h("div", { class: "actions" }, h("button", { class: "button primary", type: "button", click: () => file.click() }, t("Choose a file")), file),
      this.dataset.pull === undefined ? null : this.pullForm(progress),
      progress,
    );
    this.replaceChildren(drop);
    file.addEventListener("change", () => {
      if (file.files?.[0]) this.upload(file.files[0], progress);
    });
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const dropped = event.dataTransfer?.files[0];
      if (dropped) this.upload(dropped, progress);
    });
  }

  private pullForm(progress: HTMLElement): HTMLElement {
    const name = h("input", { class: "input mono", "aria-label": t("Image to pull"), placeholder: "registry.example.org/shop/web:2", autocomplete: "off", spellcheck: "false" });
    const form = h("form", { class: "inline-form" }, h("div", { class: "field" }, name), h("button", { class: "button" }, t("Pull")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (name.value.trim()) this.send("/rest/v1/images/pull", JSON.stringify({ reference: name.value.trim() }), "application/json", name.value.trim(), progress);
    });
    return form;
  }

  private upload(file: File, progress: HTMLElement): void {
    this.send("/rest/v1/images/import", file, "application/x-tar", file.name, progress);
  }

  private send(url: string, body: XMLHttpRequestBodyInit, type: string, name: string, progress: HTMLElement): void {
    const label = h("p", {}, name);
    const bar = h("progress", { class: "bar", max: "1", "aria-label": name });
    progress.replaceChildren(label, bar);
    const request = new XMLHttpRequest();
    let read = 0;
    let finished = false;
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("Content-Type", type);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable || event.total < 4096) return;
      bar.value = event.loaded / event.total;
      label.textContent = t("{name}: {percent} % sent", { name, percent: Math.round((100 * event.loaded) / event.total) });
    });
    const readLines = (): void => {
      for (;;) {
        const end = request.responseText.indexOf("\n", read);
        if (end < 0) return;
        const line = request.responseText.slice(read, end);
        read = end + 1;
        try {
          show(JSON.parse(line) as Step);
        } catch {
          // Not a line of progress.
        }
      }
    };
    const show = (step: Step): void => {
      if (step.done !== undefined) {
        finished = true;
        bar.value = 1;
        label.textContent = t("{name} is here.", { name });
        location.reload();
      } else if (step.error) {
        finished = true;
        this.failed(step.error, progress);
      } else {
        if (step.total) bar.value = (step.current ?? 0) / step.total;
        else bar.removeAttribute("value");
        label.textContent = [name, step.status, step.layer?.slice(0, 19)].filter(Boolean).join(" · ");
      }
    };
    request.addEventListener("progress", readLines);
    request.addEventListener("load", () => {
      readLines();
      if (!finished) this.failed(sentence(request), progress);
    });
    request.addEventListener("error", () => this.failed(t("The connection was lost; nothing was imported."), progress));
    request.send(body);
  }

  private failed(message: string, progress: HTMLElement): void {
    progress.replaceChildren(h("p", { class: "problem", role: "alert" }, icon("alert-octagon"), message));
    toast(message, "failed");
  }
}

function sentence(request: XMLHttpRequest): string {
  try {
    const body = JSON.parse(request.responseText) as { message?: string; detail?: string; error?: string };
    return body.message ?? body.detail ?? body.error ?? t("The server answered {status}.", { status: request.status });
  } catch {
    return t("The server answered {status}.", { status: request.status });
  }
}

customElements.define("gantry-images", GantryImages);
