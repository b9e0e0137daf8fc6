/** Whether a request is as the document wants it, and whether its answer is. */
import { parse } from "yaml";
import type { Asked } from "./openapi-requests.ts";
import { type ApiDocument, type operationsOf, problemsOf, responseOf } from "./openapi-support.ts";

export type Known = ReturnType<typeof operationsOf>[number];

/** Milliseconds within which the first bytes of every answer are there. */
const ANSWER_MS = 5_000;

/** Rejects where it takes too long. */
export async function inTime<T>(what: string, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what}: no answer in ${ANSWER_MS} ms`)), ANSWER_MS);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** As it is sent; parameters that are not in the document come from `query` and `headers`. */
export function requestOf(
  { path, method, operation }: Known,
  { values, body, contentType, accept }: Asked,
  more: {
    readonly query?: Readonly<Record<string, string>>;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Request {
  const query = new URLSearchParams(more.query);
  const headers = new Headers(more.headers);
  let url = path;
  for (const { name, in: place } of operation.parameters ?? []) {
    for (const value of values[name] ?? []) {
      // Dots alone are no segment of a path (RFC 3986 section 5.2.4).
      if (place === "path")
        url = url.replace(`{${name}}`, () =>
          encodeURIComponent(/^\.*$/.test(value) ? "x" : value.toWellFormed()),
        );
      else if (place === "query") query.append(name, value);
      else headers.set(name, visible(value));
    }
  }
  if (accept !== undefined) headers.set("accept", accept);
  const sends = method !== "get" && body !== undefined;
  if (contentType !== undefined) headers.set("content-type", contentType);
  const request = new Request(`http://localhost${url}?${query}`, {
    method: method.toUpperCase(),
    headers,
    body: sends ? body : null,
  });
  // What the text of a body says of itself is not what was chosen.
  if (contentType === undefined) request.headers.delete("content-type");
  return request;
}

/** What no HTTP parser would hand on is left out. */
const visible = (text: string) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "?").trim();

/** Whether the document allows the request, whoever asks. */
export function isAllowed(...given: Parameters<typeof isAsDocumented>): boolean {
  try {
    return isAsDocumented(...given);
  } catch {
    // What is to be JSON is not.
    return false;
  }
}

function isAsDocumented(
  document: ApiDocument,
  { operation, path }: Known,
  request: Request,
  asked: Asked,
): boolean {
  const { pathname, searchParams } = new URL(request.url);
  const at = path.split("/");
  const segments = pathname.split("/").map(decodeURIComponent);
  for (const { name, in: place, required, schema } of operation.parameters ?? []) {
    const given =
      place === "query"
        ? searchParams.getAll(name)
        : [place === "path" ? segments[at.indexOf(`{${name}}`)]! : request.headers.get(name)].filter(
            (value) => value !== null,
          );
    if (given.length > 1 || (required && given.length === 0)) return false;
    if (given.some((text) => !isText(document, schema, text!))) return false;
  }
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (schema === undefined) return true;
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) return false;
  const { body = "" } = asked;
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  return problemsOf(document, schema, JSON.parse(text)).length === 0;
}

/** A parameter is text: of a number, its digits. */
function isText(document: ApiDocument, schema: object, text: string): boolean {
  const { type, contentSchema } = schema as { type?: string; contentSchema?: object };
  const value = type === "integer" && /^-?\d+$/.test(text) ? Number(text) : text;
  if (
    contentSchema !== undefined &&
    text !== "" &&
    problemsOf(document, contentSchema, JSON.parse(text)).length > 0
  )
    return false;
  return problemsOf(document, schema, value).length === 0;
}

/** What of the answer is not as the document has it. `text`: of a stream, its first bytes. */
export async function readAnswer(
  document: ApiDocument,
  { operation }: Known,
  response: Response,
): Promise<{ readonly text: string; readonly problems: readonly string[] }> {
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  const text = type === "text/event-stream" ? await firstOf(response) : await response.text();
  const documented = responseOf(document, operation.responses[String(response.status)]);
  const problems: string[] = [];
  if (documented === undefined || response.status >= 500) return { text, problems: ["the status"] };
  for (const name of Object.keys(documented.headers ?? {}))
    if (!response.headers.has(name)) problems.push(`no header ${name}`);
  const media = documented.content?.[type];
  if (documented.content === undefined) {
    if (text !== "") problems.push("a body");
  } else if (media === undefined) problems.push(`the content type ${JSON.stringify(type)}`);
  else if (type === "text/event-stream") {
    if (media.schema !== undefined) problems.push("a schema, by which some check each event");
    const lines = text.slice(0, text.lastIndexOf("\n\n") + 2).split("\n");
    if (lines.length < 3 || lines.some((line) => !/^(?:|event|data|id|retry):|^$/.test(line)))
      problems.push("what is no frame");
    // Of GraphQL: each is a result as it would be without a stream.
    const result = documented.content["application/json"]?.schema;
    for (const [, next] of result ? text.matchAll(/^event: next\n(?:id: .*\n)?data: ([^\n]*)\n\n/gm) : [])
      problems.push(...problemsOf(document, result!, JSON.parse(next!)));
  } else {
    const value = type.endsWith("json") ? JSON.parse(text) : type.endsWith("yaml") ? fromYaml(text) : text;
    problems.push(...problemsOf(document, media.schema!, value));
  }
  return { text, problems };
}

/** The document is the same each time, and long. */
function fromYaml(text: string): unknown {
  if (yaml?.text !== text) yaml = { text, value: parse(text) };
  return yaml.value;
}
let yaml: { readonly text: string; readonly value: unknown } | undefined;

/** Of a stream, which is then left. */
async function firstOf(response: Response): Promise<string> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  // GraphQL begins with a comment.
  while (!/^[^:\n].*\n\n/ms.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}
