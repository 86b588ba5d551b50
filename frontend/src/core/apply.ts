// Applies manifests: every one is first checked by the server (dry run), so that nothing is half-made; then created, or
// merged into the object that is there.
import { ApiProblem, call, type Cause } from "./api";
import { t } from "./i18n";
import type { Manifest, Part, Problem } from "./yaml";

export interface KindPlace {
  plural: string;
  namespaced: boolean;
}

export type Kinds = Record<string, KindPlace>;

export interface Applied {
  object: Manifest;
  created: boolean;
  warnings: string[];
}

const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";

interface Target {
  list: string;
  one: string;
  object: Manifest;
}

export function target(object: Manifest, kinds: Kinds, namespace: string): Target {
  const place = kinds[`${object.apiVersion} ${object.kind}`];
  if (!object.apiVersion || !object.kind) throw new ApiProblem(t("A manifest needs apiVersion and kind."), 422, "Invalid");
  if (!place) throw new ApiProblem(t("This cluster has no kind {kind} in {version}.", { kind: object.kind, version: object.apiVersion }), 404, "NotFound");
  const name = object.metadata?.name;
  if (!name) throw new ApiProblem(t("metadata.name is missing."), 422, "Invalid", [{ field: "metadata", message: t("metadata.name is missing.") }]);
  const where = object.metadata?.namespace ?? namespace;
  const root = object.apiVersion.includes("/") ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
  const list = place.namespaced ? `${root}/namespaces/${encodeURIComponent(where)}/${place.plural}` : `${root}/${place.plural}`;
  const placed = place.namespaced ? { ...object, metadata: { ...object.metadata, namespace: where } } : object;
  return { list, one: `${list}/${encodeURIComponent(name)}`, object: placed };
}

async function send(place: Target, dryRun: boolean): Promise<Applied> {
  const query = `?fieldValidation=Strict&fieldManager=console${dryRun ? "&dryRun=All" : ""}`;
  try {
    const { body, warnings } = await call<Manifest>("POST", place.list + query, place.object);
    return { object: body, created: true, warnings };
  } catch (problem) {
    if (!(problem instanceof ApiProblem) || problem.code !== 409) throw problem;
    const known = !/\./.test(place.object.apiVersion?.split("/")[0] ?? "") || /^(apps|batch)\//.test(place.object.apiVersion ?? "");
    const { body, warnings } = await call<Manifest>("PATCH", place.one + query, place.object, known ? STRATEGIC : MERGE);
    return { object: body, created: false, warnings };
  }
}

// What is wrong, at the line it is about; empty when the server would take all of it.
export async function check(parts: Part[], kinds: Kinds, namespace: string): Promise<{ problems: Problem[]; warnings: string[] }> {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const made = new Set(parts.filter((part) => part.object.kind === "Namespace").map((part) => part.object.metadata?.name));
  for (const part of parts) {
    // A namespace that the same manifests make is not there yet for the dry run.
    if (made.has(part.object.metadata?.namespace)) continue;
    try {
      warnings.push(...(await send(target(part.object, kinds, namespace), true)).warnings);
    } catch (problem) {
      problems.push(...problemsOf(problem, part));
    }
  }
  return { problems, warnings };
}

export async function apply(parts: Part[], kinds: Kinds, namespace: string): Promise<Applied[]> {
  const applied: Applied[] = [];
  const inOrder = [...parts].sort((a, b) => Number(b.object.kind === "Namespace") - Number(a.object.kind === "Namespace"));
  for (const part of inOrder) applied.push(await send(target(part.object, kinds, namespace), false));
  return applied;
}

export function problemsOf(problem: unknown, part: Part): Problem[] {
  if (!(problem instanceof ApiProblem)) return [{ line: part.line, message: String(problem) }];
  if (!problem.causes.length) return [{ line: part.line, message: problem.message, field: fieldIn(problem.message) }];
  return problem.causes.map((cause: Cause) => ({
    line: cause.field ? part.lineOf(cause.field) : part.line,
    field: cause.field,
    message: cause.field ? `${cause.field}: ${cause.message}` : cause.message,
  }));
}

// Strict decoding errors name the field in the sentence: unknown field "spec.replica".
function fieldIn(message: string): string {
  return /unknown field "([^"]+)"/.exec(message)?.[1] ?? "";
}
