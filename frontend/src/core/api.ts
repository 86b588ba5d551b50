// Writes go to the two APIs (Kubernetes' and /rest/v1), with the CSRF header; a refusal becomes an ApiProblem with sentences.
import { t } from "./i18n";

export interface Cause {
  field: string;
  message: string;
}

export class ApiProblem extends Error {
  constructor(
    message: string,
    readonly code: number,
    readonly reason: string,
    readonly causes: Cause[] = [],
  ) {
    super(message);
  }
}

interface StatusBody {
  message?: string;
  detail?: string;
  error?: string;
  reason?: string;
  details?: { causes?: { field?: string; message?: string }[] };
}

export function csrfToken(): string {
  const cookie = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1];
  return cookie ?? document.querySelector<HTMLMetaElement>("meta[name=csrf-token]")?.content ?? "";
}

export interface Answer<T> {
  body: T;
  warnings: string[];
}

export async function call<T = unknown>(
  method: string,
  path: string,
  body?: unknown,
  contentType = "application/json",
): Promise<Answer<T>> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: {
        Accept: "application/json",
        "X-CSRFToken": csrfToken(),
        ...(body === undefined ? {} : { "Content-Type": contentType }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  } catch {
    throw new ApiProblem(t("The server cannot be reached. Nothing was changed; try again when the connection is back."), 0, "Unreachable");
  }
  const parsed = await parse(answer);
  if (!answer.ok) throw problemOf(answer.status, parsed as StatusBody | null);
  return { body: parsed as T, warnings: warningsOf(answer.headers.get("Warning")) };
}

async function parse(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function problemOf(status: number, body: StatusBody | null): ApiProblem {
  const message = body?.message ?? body?.detail ?? body?.error ?? fallback(status);
  const causes = (body?.details?.causes ?? []).map((cause) => ({ field: cause.field ?? "", message: cause.message ?? "" }));
  return new ApiProblem(message, status, body?.reason ?? "", causes);
}

function fallback(status: number): string {
  if (status === 401) return t("You are signed out. Sign in again; nothing was changed.");
  if (status === 403) return t("Your role does not allow this.");
  if (status === 404) return t("It is not there any more.");
  if (status === 409) return t("It changed in the meantime. Look at it again and repeat what you want.");
  return t("The server answered with an error ({status}).", { status });
}

// Warning: 299 - "unknown field \"spec.foo\""
function warningsOf(header: string | null): string[] {
  if (!header) return [];
  return [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? "").replace(/\\(.)/g, "$1"));
}
