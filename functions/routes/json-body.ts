/** The JSON body of a request that changes something: small, and of exactly the form asked for. */
import type { Context } from "hono";
import type * as z from "zod";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";

/** Bytes: the largest holds a subject and a company. */
const MAX_BODY_BYTES = 4096;

/** @throws MillraceError `invalid-input` naming every member that is wrong; nothing of the body is in it. */
export async function readJsonBody<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
): Promise<z.output<Schema>> {
  // A page of another origin may send anything else without asking first (Fetch, CORS-safelisted content types), also where nobody has to
  // say who asks.
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw invalid(`content-type ${quote(type)}`, "application/json");
  }
  const text = await readText(c.req.raw.body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("not JSON", "a JSON object");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${[...path, ""].join(": ")}${message}`);
  throw invalid(problems.join("; "), "the members that PROTOCOL.md names");
}

/** No more than that is taken, whatever length the client names. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw invalid(`over ${MAX_BODY_BYTES} bytes`, "fewer");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function invalid(was: string, expected: string): MillraceError {
  return new MillraceError("invalid-input", `Cannot read the body: ${was}, expected ${expected}`);
}
