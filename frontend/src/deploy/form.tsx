// The deploy page: form on the left, its YAML beside it; the tab YAML takes over with text of one's own.
import { computed, signal, useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ApiProblem } from "../core/api";
import { apply, check, type Kinds } from "../core/apply";
import { t } from "../core/i18n";
import { toast } from "../core/toast";
import { parseYaml, toYaml, type Manifest, type Problem } from "../core/yaml";
import { endsAtOnce, manifests, type Form } from "./manifest";

export interface Start {
  namespaces: string[];
  namespace: string;
  images: string[];
  kinds: Kinds;
  tab: string;
  image: string;
}

// A custom element of the loader in core/islands.ts; its content is the fallback.
const Editor = "gantry-editor" as unknown as "div";

const form = signal<Form>({
  namespace: "default",
  name: "",
  image: "",
  replicas: "1",
  command: "",
  env: [{ name: "", value: "" }],
  ports: [{ port: "", publish: true }],
  cpu: "",
  memory: "",
});
const tab = signal<"form" | "yaml">("form");
const text = signal("");
const problems = signal<Problem[]>([]);
const warnings = signal<string[]>([]);
const busy = signal<"" | "check" | "deploy">("");
const named = signal(false);
const shownYaml = computed(() => toYaml(manifests(form.value)));

function change(part: Partial<Form>): void {
  form.value = { ...form.value, ...part };
  problems.value = [];
}

// The name follows the image until one is typed.
function setImage(image: string): void {
  const guess = image.trim().split("@")[0]?.split("/").pop()?.split(":")[0]?.toLowerCase().replace(/[^a-z0-9-]+/g, "-") ?? "";
  change(named.value ? { image } : { image, name: guess.replace(/^-+|-+$/g, "") });
}

export function DeployPage({ start }: { start: Start }): JSX.Element {
  const ready = useSignal(false);
  if (!ready.value) {
    form.value = { ...form.value, namespace: start.namespace };
    if (start.image) setImage(start.image);
    if (start.tab === "yaml") toYamlTab();
    ready.value = true;
  }
  return (
    <div>
      <div class="tabs" role="tablist" aria-label={t("Ways to deploy")}>
        <TabButton name="form" onSelect={() => (tab.value = "form")}>{t("Form")}</TabButton>
        <TabButton name="yaml" onSelect={toYamlTab}>YAML</TabButton>
      </div>
      {tab.value === "form" ? <FormTab start={start} /> : <YamlTab start={start} />}
    </div>
  );
}

function TabButton({ name, onSelect, children }: { name: "form" | "yaml"; onSelect: () => void; children: ComponentChildren }): JSX.Element {
  return (
    <button type="button" role="tab" id={`tab-${name}`} aria-selected={tab.value === name} aria-controls={`panel-${name}`} onClick={onSelect}>
      {children}
    </button>
  );
}

function toYamlTab(): void {
  if (tab.value === "yaml") return;
  // What the form says is the start; what was typed here before stays unless the form has more to say.
  if (!text.value || form.value.image) text.value = form.value.image ? shownYaml.value : text.value;
  problems.value = [];
  tab.value = "yaml";
}

async function submit(yaml: string, start: Start, deploy: boolean): Promise<void> {
  problems.value = [];
  warnings.value = [];
  const { parts, problems: found } = parseYaml(yaml);
  if (found.length) {
    problems.value = found;
    return;
  }
  if (!parts.length) {
    problems.value = [{ line: 1, message: t("There is nothing to deploy yet.") }];
    return;
  }
  busy.value = deploy ? "deploy" : "check";
  try {
    const checked = await check(parts, start.kinds, form.value.namespace);
    problems.value = checked.problems;
    warnings.value = checked.warnings;
    if (checked.problems.length) return;
    if (!deploy) {
      toast(t("The server would take all of it."));
      return;
    }
    await apply(parts, start.kinds, form.value.namespace);
    location.assign(pageOf(parts.map((part) => part.object), form.value.namespace));
  } catch (problem) {
    problems.value = [{ line: 1, message: problem instanceof ApiProblem ? problem.message : String(problem) }];
  } finally {
    busy.value = "";
  }
}

// Where to look at what was deployed: the first deployment, else the first object that has a page.
function pageOf(objects: Manifest[], namespace: string): string {
  const pages: Record<string, string> = { Deployment: "deployments", ReplicaSet: "replicasets", Pod: "pods", Service: "services", ConfigMap: "configmaps", Secret: "secrets" };
  const first = objects.find((object) => object.kind === "Deployment") ?? objects.find((object) => pages[object.kind ?? ""]);
  if (!first) return "/";
  return `/n/${first.metadata?.namespace ?? namespace}/${pages[first.kind ?? ""]}/${first.metadata?.name}`;
}

// The field of the form that a path of the API is about.
function fieldOf(path: string): string {
  if (/^metadata\.(name|labels)|\.matchLabels|\.labels/.test(path) || /containers\[0\]\.name/.test(path)) return "name";
  if (/\.image$/.test(path)) return "image";
  if (/spec\.replicas/.test(path)) return "replicas";
  if (/\.command|\.args/.test(path)) return "command";
  if (/\.env/.test(path)) return "env";
  if (/ports/.test(path)) return "ports";
  if (/resources.*cpu/.test(path)) return "cpu";
  if (/resources.*memory/.test(path)) return "memory";
  return "";
}

function problemsAt(field: string): Problem[] {
  return problems.value.filter((problem) => fieldOf(problem.field ?? "") === field);
}

function Field(props: { id: string; label: string; hint?: string; children: ComponentChildren; warning?: string | false | undefined }): JSX.Element {
  const wrong = problemsAt(props.id);
  return (
    <div class={wrong.length ? "field invalid" : "field"}>
      <label for={`field-${props.id}`}>{props.label}</label>
      {props.children}
      {unique(wrong).map((message) => (
        <p class="problem" role="alert" key={message}>
          <i class="icon i-alert-octagon" aria-hidden="true" />
          {message}
        </p>
      ))}
      {props.warning && (
        <p class="warning" role="status">
          <i class="icon i-alert-triangle" aria-hidden="true" />
          {props.warning}
        </p>
      )}
      {props.hint && <p class="hint">{props.hint}</p>}
    </div>
  );
}

function unique(list: Problem[]): string[] {
  return [...new Set(list.map((problem) => problem.message.replace(/^\S+: /, "")))];
}

function FormTab({ start }: { start: Start }): JSX.Element {
  const f = form.value;
  const ends = endsAtOnce(f.image, f.command);
  const ending = {
    shell: t("A shell without a terminal ends at once; the container would be started again and again. Give it something to do."),
    command: t("This command ends at once; the container would be started again and again."),
    image: t("This image runs a shell by itself, which ends at once; give it a command, such as: sleep infinity"),
  };
  const others = problems.value.filter((problem) => !fieldOf(problem.field ?? ""));
  return (
    <div class="deploy" role="tabpanel" id="panel-form" aria-labelledby="tab-form">
      <form
        class="card card-body deploy-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit(shownYaml.value, start, true);
        }}
      >
        <Field id="image" label={t("Image")} hint={t("As nginx, nginx:1.27 or registry.example.org/shop/web:2. Images that are here are suggested.")}>
          <input class="input mono" id="field-image" list="known-images" value={f.image} placeholder="nginx:latest" autocomplete="off" spellcheck={false} autofocus onInput={(event) => setImage(event.currentTarget.value)} />
          <datalist id="known-images">{start.images.map((image) => <option key={image} value={image} />)}</datalist>
        </Field>
        <div class="pair">
          <Field id="name" label={t("Name")} hint={t("Lower-case letters, digits and hyphens; it names the deployment and its service.")}>
            <input class="input" id="field-name" value={f.name} placeholder="web" autocomplete="off" spellcheck={false} onInput={(event) => { named.value = event.currentTarget.value !== ""; change({ name: event.currentTarget.value }); }} />
          </Field>
          <Field id="replicas" label={t("Replicas")}>
            <input class="input" id="field-replicas" type="number" min="0" max="1000" inputMode="numeric" value={f.replicas} onInput={(event) => change({ replicas: event.currentTarget.value })} />
          </Field>
        </div>
        <Field id="namespace" label={t("Namespace")}>
          <select class="select" id="field-namespace" value={f.namespace} onChange={(event) => change({ namespace: event.currentTarget.value })}>
            {start.namespaces.map((namespace) => <option key={namespace}>{namespace}</option>)}
          </select>
        </Field>
        <Field id="command" label={t("Command")} hint={t("Empty: what the image says. Quotes keep words together; with |, && or $ a shell runs it.")} warning={ends ? ending[ends] : undefined}>
          <input class="input mono" id="field-command" value={f.command} autocomplete="off" spellcheck={false} onInput={(event) => change({ command: event.currentTarget.value })} />
        </Field>
        <Ports />
        <Environment />
        <div class="half">
          <Field id="cpu" label={t("CPU")} hint={t("Cores: 0.5 or 500m. Empty: no limit.")}>
            <input class="input" id="field-cpu" value={f.cpu} autocomplete="off" onInput={(event) => change({ cpu: event.currentTarget.value })} />
          </Field>
          <Field id="memory" label={t("Memory")} hint={t("128Mi, 1Gi. Empty: no limit.")}>
            <input class="input" id="field-memory" value={f.memory} autocomplete="off" onInput={(event) => change({ memory: event.currentTarget.value })} />
          </Field>
        </div>
        <ProblemList list={others} lines={false} />
        <div class="actions">
          <button class="button primary" type="submit" aria-busy={busy.value === "deploy"} disabled={!f.image.trim() || !f.name.trim()}>{t("Deploy")}</button>
          <button class="button" type="button" aria-busy={busy.value === "check"} disabled={!f.image.trim() || !f.name.trim()} onClick={() => void submit(shownYaml.value, start, false)}>{t("Check")}</button>
        </div>
      </form>
      <aside class="card flush yaml-side">
        <div class="card-head">
          <h2>YAML</h2>
          <span class="quiet small">{t("what the form stands for")}</span>
          <span class="grow" />
          <button class="button small" type="button" data-copy={shownYaml.value}>{t("Copy")}</button>
          <button class="button small" type="button" onClick={toYamlTab}>{t("Edit")}</button>
        </div>
        <pre class="code" tabIndex={0} aria-label="YAML">{shownYaml.value}</pre>
      </aside>
    </div>
  );
}

function Ports(): JSX.Element {
  const lines = form.value.ports;
  const set = (index: number, part: Partial<(typeof lines)[number]>): void => change({ ports: lines.map((line, at) => (at === index ? { ...line, ...part } : line)) });
  return (
    <fieldset class={problemsAt("ports").length ? "field invalid" : "field"}>
      <legend class="label">{t("Ports")}</legend>
      <div class="line-list">
        {lines.map((line, index) => (
          <div class="line" key={index}>
            <input class="input port" inputMode="numeric" aria-label={lines.length > 1 ? t("Port {n}", { n: index + 1 }) : t("Port")} placeholder="80" value={line.port} autocomplete="off" onInput={(event) => set(index, { port: event.currentTarget.value })} />
            <label class="check">
              <input type="checkbox" checked={line.publish} onChange={(event) => set(index, { publish: event.currentTarget.checked })} />
              {t("Publish")}
            </label>
            {lines.length > 1 && <Remove label={t("Remove port {n}", { n: index + 1 })} onClick={() => change({ ports: lines.filter((_line, at) => at !== index) })} />}
          </div>
        ))}
      </div>
      {unique(problemsAt("ports")).map((message) => <p class="problem" role="alert" key={message}><i class="icon i-alert-octagon" aria-hidden="true" />{message}</p>)}
      <p class="hint">{t("Where the container listens. A published port gets an address that you can open from outside.")}</p>
      <div><button class="button small" type="button" onClick={() => change({ ports: [...lines, { port: "", publish: false }] })}><i class="icon i-plus" aria-hidden="true" />{t("Another port")}</button></div>
    </fieldset>
  );
}

function Environment(): JSX.Element {
  const lines = form.value.env;
  const set = (index: number, part: Partial<(typeof lines)[number]>): void => change({ env: lines.map((line, at) => (at === index ? { ...line, ...part } : line)) });
  return (
    <fieldset class={problemsAt("env").length ? "field invalid" : "field"}>
      <legend class="label">{t("Environment")}</legend>
      <div class="line-list">
        {lines.map((line, index) => (
          <div class="line" key={index}>
            <input class="input mono" aria-label={t("Variable {n}", { n: index + 1 })} placeholder="NAME" value={line.name} autocomplete="off" spellcheck={false} onInput={(event) => set(index, { name: event.currentTarget.value })} />
            <input class="input mono" aria-label={t("Value {n}", { n: index + 1 })} placeholder={t("value")} value={line.value} autocomplete="off" spellcheck={false} onInput={(event) => set(index, { value: event.currentTarget.value })} />
            {lines.length > 1 && <Remove label={t("Remove variable {n}", { n: index + 1 })} onClick={() => change({ env: lines.filter((_line, at) => at !== index) })} />}
          </div>
        ))}
      </div>
      {unique(problemsAt("env")).map((message) => <p class="problem" role="alert" key={message}><i class="icon i-alert-octagon" aria-hidden="true" />{message}</p>)}
      <div><button class="button small" type="button" onClick={() => change({ env: [...lines, { name: "", value: "" }] })}><i class="icon i-plus" aria-hidden="true" />{t("Another variable")}</button></div>
    </fieldset>
  );
}

function Remove({ label, onClick }: { label: string; onClick: () => void }): JSX.Element {
  return (
    <button class="button ghost square" type="button" aria-label={label} title={label} onClick={onClick}>
      <i class="icon i-x" aria-hidden="true" />
    </button>
  );
}

function YamlTab({ start }: { start: Start }): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    document.dispatchEvent(new Event("gantry:content"));
  }, []);
  useEffect(() => {
    // The editor marks the lines; the list above says them in words.
    area.current?.dispatchEvent(new CustomEvent("gantry:problems", { bubbles: true, detail: problems.value }));
  }, [problems.value]);
  return (
    <div role="tabpanel" id="panel-yaml" aria-labelledby="tab-yaml">
    <form
      class="card flush"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(text.value, start, true);
      }}
    >
      <div class="card-head">
        <h2>YAML</h2>
        <span class="quiet small">{t("one document or several, separated by ---")}</span>
        <span class="grow" />
        <label class="check">
          {t("Namespace")}
          <select class="select" value={form.value.namespace} onChange={(event) => change({ namespace: event.currentTarget.value })}>
            {start.namespaces.map((namespace) => <option key={namespace}>{namespace}</option>)}
          </select>
        </label>
        <button class="button" type="button" aria-busy={busy.value === "check"} onClick={() => void submit(text.value, start, false)}>{t("Check")}</button>
        <button class="button primary" type="submit" aria-busy={busy.value === "deploy"}>{t("Deploy")}</button>
      </div>
      {(problems.value.length > 0 || warnings.value.length > 0) && (
        <div class="card-body">
          <ProblemList list={problems.value} lines />
          {warnings.value.map((warning) => <p class="warning" key={warning}>{warning}</p>)}
        </div>
      )}
      <Editor>
        <textarea
          ref={area}
          class="yaml-area"
          aria-label="YAML"
          spellcheck={false}
          autocapitalize="off"
          placeholder={"apiVersion: apps/v1\nkind: Deployment\n…"}
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
        />
      </Editor>
    </form>
    </div>
  );
}

function ProblemList({ list, lines }: { list: Problem[]; lines: boolean }): JSX.Element | null {
  if (!list.length) return null;
  return (
    <div class="notice failed" role="alert">
      <i class="icon i-x-octagon" aria-hidden="true" />
      <ul class="body problems">
        {list.map((problem, index) => (
          <li key={index}>
            {lines && <strong class="nowrap">{t("Line {n}", { n: problem.line })}</strong>}
            <span>{problem.message}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
