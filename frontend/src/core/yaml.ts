// YAML documents, with the line of every field, so that a server's error can be shown where it belongs. Loaded on demand.
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, stringify, type Document } from "yaml";

export interface Manifest {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

export interface Part {
  object: Manifest;
  line: number;
  lineOf(path: string): number;
}

export interface Problem {
  line: number;
  message: string;
  field?: string;
}

export function toYaml(objects: unknown[]): string {
  return objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");
}

export function parseYaml(text: string): { parts: Part[]; problems: Problem[] } {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter, uniqueKeys: true, version: "1.2" });
  const parts: Part[] = [];
  const problems: Problem[] = [];
  for (const document of documents as Document.Parsed[]) {
    for (const error of document.errors) {
      problems.push({ line: error.linePos?.[0].line ?? 1, message: firstLine(error.message) });
    }
    if (document.errors.length || document.contents === null) continue;
    const offset = (document.contents as { range?: [number, number, number] | null }).range?.[0] ?? 0;
    const line = counter.linePos(offset).line;
    const object = document.toJS({ maxAliasCount: 50 }) as unknown;
    if (typeof object !== "object" || object === null || Array.isArray(object)) {
      problems.push({ line, message: "A manifest is a map with apiVersion, kind, metadata." });
      continue;
    }
    if ((object as Manifest).kind === "List" && Array.isArray((object as Manifest)["items"])) {
      for (const item of (object as { items: Manifest[] }).items) parts.push({ object: item, line, lineOf: () => line });
      continue;
    }
    parts.push({ object: object as Manifest, line, lineOf: (path) => lineOf(document, counter, path) ?? line });
  }
  return { parts, problems };
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}

// spec.template.spec.containers[0].image, env[name=X], data[a.b] as Kubernetes writes paths.
export function pathParts(path: string): (string | number)[] {
  const parts: (string | number)[] = [];
  for (const match of path.matchAll(/([^.[\]]+)|\[([^\]]*)\]/g)) {
    const inBrackets = match[2];
    if (inBrackets === undefined) parts.push(match[1] ?? "");
    else parts.push(/^\d+$/.test(inBrackets) ? Number(inBrackets) : inBrackets.replace(/^"|"$/g, ""));
  }
  return parts;
}

function lineOf(document: Document.Parsed, counter: LineCounter, path: string): number | null {
  let node: unknown = document.contents;
  let offset: number | null = null;
  for (const part of pathParts(path)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (!pair) break;
      offset = (pair.key as { range?: [number, number, number] }).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === "number") {
      node = node.items[part];
      offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset === null ? null : counter.linePos(offset).line;
}
