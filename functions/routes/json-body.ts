/** The JSON body of a request that changes something: small, and of exactly the form asked for. */
import type { Context } from "hono";
import type * as z from "zod";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";

/** Bytes: the largest holds a subject and a company. */
const SMALL_BODY_BYTES = 4096;

/** Milliseconds a client may take to send it. */
const BODY_MS = 5_000;

/**
 * To be read before anybody is let in: who holds it back must not be acted for after its token has ended or was revoked.
 * @throws MillraceError `invalid-input`, here and below: it is not small, not whole or not there in time.
 */
export async function readBody(c: Context, maxBytes = SMALL_BODY_BYTES): Promise<string> {
  const reader = c.req.raw.body?.getReader();
  if (reader === undefined) return "";
  let isLate = false;
  const cancel = () => reader.cancel().catch(() => {});
  const timer = setTimeout(() => {
    isLate = true;
    void cancel();
  }, BODY_MS);
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw invalid("cut off", "all of it");
      });
      if (isLate) throw invalid(`not all there after ${BODY_MS} ms`, "it by then");
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      // No more than that is taken, whatever length the client names.
      if (bytes > maxBytes) throw invalid(`over ${maxBytes} bytes`, "fewer");
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    clearTimeout(timer);
    void cancel();
  }
}

/** A page of another origin may send anything else without asking first (Fetch, CORS-safelisted content types), also where nobody has to say who asks. */
export function sendsJson(c: Context): boolean {
  return /^application\/json\s*(;|$)/i.test(c.req.header("content-type") ?? "");
}

/** Names every member that is wrong; nothing of the body is in the error. */
export function parseJsonBody<Schema extends z.ZodType>(
  c: Context,
  text: string,
  schema: Schema,
): z.output<Schema> {
  if (!sendsJson(c)) {
    throw invalid(`content-type ${quote(c.req.header("content-type") ?? "")}`, "application/json");
  }
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

function invalid(was: string, expected: string): MillraceError {
  return new MillraceError("invalid-input", `Cannot read the body: ${was}, expected ${expected}`);
}
