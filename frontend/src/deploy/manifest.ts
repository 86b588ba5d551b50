// From the form to the objects it stands for: a Deployment and the Services of its ports. Pure.
import type { Manifest } from "../core/yaml";

export interface PortLine {
  port: string;
  publish: boolean;
}

export interface EnvLine {
  name: string;
  value: string;
}

export interface Form {
  namespace: string;
  name: string;
  image: string;
  replicas: string;
  command: string;
  env: EnvLine[];
  ports: PortLine[];
  cpu: string;
  memory: string;
}

// Splits as a shell does: quotes keep words together, a backslash keeps the next character.
export function words(command: string): string[] {
  const found: string[] = [];
  let word = "";
  let quote = "";
  let started = false;
  for (let i = 0; i < command.length; i++) {
    const c = command[i] as string;
    if (quote) {
      if (c === quote) quote = "";
      else if (c === "\\" && quote === '"' && i + 1 < command.length) word += command[++i];
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      started = true;
    } else if (c === "\\" && i + 1 < command.length) {
      word += command[++i];
      started = true;
    } else if (/\s/.test(c)) {
      if (started) found.push(word);
      word = "";
      started = false;
    } else {
      word += c;
      started = true;
    }
  }
  if (started) found.push(word);
  return found;
}

// Shell syntax needs a shell: one is put in front, and the YAML shows it.
export function commandOf(command: string): string[] | undefined {
  const text = command.trim();
  if (!text) return undefined;
  return /[|&;<>$`\n]|\*/.test(text) ? ["sh", "-c", text] : words(text);
}

export function manifests(form: Form): Manifest[] {
  const name = form.name.trim();
  const labels = { app: name };
  const ports = form.ports.filter((line) => line.port.trim());
  const env = form.env.filter((line) => line.name.trim()).map((line) => ({ name: line.name.trim(), value: line.value }));
  const resources = Object.fromEntries(
    [["cpu", form.cpu.trim()], ["memory", form.memory.trim()]].filter(([, value]) => value),
  ) as Record<string, string>;
  const command = commandOf(form.command);
  const container: Record<string, unknown> = { name: name || "main", image: form.image.trim() };
  if (command) container["command"] = command;
  if (env.length) container["env"] = env;
  if (ports.length) container["ports"] = ports.map((line) => ({ containerPort: number(line.port) }));
  if (Object.keys(resources).length) container["resources"] = { requests: resources, limits: resources };
  const deployment: Manifest = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: form.namespace, labels },
    spec: {
      replicas: number(form.replicas),
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
  return [deployment, ...services(form, name, labels, ports)];
}

// A Service publishes all of its ports or none, so a workload that has both kinds gets two.
function services(form: Form, name: string, labels: Record<string, string>, ports: PortLine[]): Manifest[] {
  if (!ports.length) return [];
  const published = ports.filter((line) => line.publish);
  if (published.length && published.length < ports.length) {
    return [service(form, name, name, "ClusterIP", labels, ports), service(form, name, `${name}-published`, "NodePort", labels, published)];
  }
  return [service(form, name, name, published.length ? "NodePort" : "ClusterIP", labels, ports)];
}

function service(form: Form, _app: string, name: string, type: string, selector: Record<string, string>, ports: PortLine[]): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: form.namespace, labels: selector },
    spec: {
      type,
      selector,
      ports: ports.map((line) => ({ name: `port-${line.port.trim()}`, port: number(line.port), targetPort: number(line.port) })),
    },
  };
}

// What is not a number goes to the server as it was typed, and its error says what would be right.
function number(text: string): number | string {
  const trimmed = text.trim();
  return /^-?\d+$/.test(trimmed) ? Number(trimmed) : trimmed;
}

const ENDS_AT_ONCE = new Set(["sh", "bash", "ash", "ls", "echo", "true", "false", "env", "date", "hostname", "id", "pwd", "uname", "cat", "printenv", "whoami"]);

// Why this command would end at once; the container would then be started again and again.
export function endsAtOnce(image: string, command: string): "shell" | "command" | "image" | null {
  const list = commandOf(command);
  if (!list) return /(^|\/)(busybox|debian|ubuntu|alpine|centos|fedora)(:|@|$)/.test(image.trim()) ? "image" : null;
  const first = list[0]?.split("/").pop() ?? "";
  if (list[1] === "-c" && /^(sh|bash|ash)$/.test(first)) {
    const script = list[2] ?? "";
    if (/(while|until|for )|sleep|exec |wait|tail -f|httpd|nginx|serve|daemon|-f\b|top\b/.test(script)) return null;
    return ENDS_AT_ONCE.has(words(script)[0] ?? "") ? "command" : null;
  }
  if (/^(sh|bash|ash)$/.test(first)) return list.length === 1 ? "shell" : null;
  return ENDS_AT_ONCE.has(first) && list.length <= 3 ? "command" : null;
}
