/** How large an answer may be: found out before it is printed, since a small document may ask for the same large value again and again. */
import { type ExecutionResult, GraphQLError } from "graphql";
import { encodeText } from "../core/bytes.ts";

/** Of one answer, or of one item of a subscription: one that is printed holds its text, and its bytes, in memory at once. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** The result; or, where it would take more than MAX_ANSWER_BYTES, what to do instead. What a mutation did is done. */
export function boundedResult(result: ExecutionResult): ExecutionResult {
  if (result.data === undefined || result.data === null || bytesLeft(result.data, MAX_ANSWER_BYTES) >= 0) {
    return result;
  }
  const message = `Cannot answer: over ${MAX_ANSWER_BYTES} bytes, ask for fewer items or fewer fields`;
  return { data: null, errors: [new GraphQLError(message, { extensions: { code: "too-large" } })] };
}

/** What is left when the value is printed as JSON; negative as soon as it does not fit. */
function bytesLeft(value: unknown, room: number): number {
  if (typeof value === "string") return room - bytesOfText(value);
  if (typeof value !== "object" || value === null) return room - String(value).length;
  let left = room - 2;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (left < 0) return left;
      left = bytesLeft(item, left - 1);
    }
    return left;
  }
  // Objects of the answer have no prototype; those that do are parsed JSON, the same one wherever it is asked for.
  if (Object.getPrototypeOf(value) !== null) return room - bytesOfJson(value);
  for (const name in value) {
    if (left < 0) return left;
    left = bytesLeft((value as Record<string, unknown>)[name], left - name.length - 4);
  }
  return left;
}

/** What JSON and UTF-8 leave as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

function bytesOfText(text: string): number {
  return PLAIN.test(text) ? text.length + 2 : encodeText(JSON.stringify(text)).byteLength;
}

/** An event is answered to many subscriptions. */
const sizes = new WeakMap<object, number>();

function bytesOfJson(value: object): number {
  let bytes = sizes.get(value);
  if (bytes === undefined) {
    bytes = encodeText(JSON.stringify(value)).byteLength;
    sizes.set(value, bytes);
  }
  return bytes;
}
