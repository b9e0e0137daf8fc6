/** Replies of Redis as they come over RESP2 with REPLY_OPTIONS, and as they go to the client. */
import { ErrorReply, RESP_TYPES } from "redis";

/** Bulk strings as bytes, integers as their digits, status replies as text: nothing is lost, and each can be told from the others. */
export const REPLY_OPTIONS = {
  typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String },
};

export type Reply = Buffer | string | null | ErrorReply | readonly Reply[];

/** Of one command. */
export type Outcome = { readonly reply: Reply; readonly error?: undefined } | { readonly error: string };

/** `base64`: strings of a reply are encoded, but not the status OK (Upstash, REST API, "Base64 Encoded Responses"). */
export type Encoding = "text" | "base64";

/** `{"result":…}` or `{"error":"…"}`, to be made JSON of. */
export function toJson(outcome: Outcome, encoding: Encoding): object {
  if (outcome.error !== undefined) return { error: outcome.error };
  const { reply } = outcome;
  return { result: reply === "OK" ? reply : jsonOf(reply, encoding) };
}

function jsonOf(reply: Reply, encoding: Encoding): unknown {
  if (reply === null) return null;
  if (typeof reply === "string")
    return INTEGER.test(reply) ? integerOf(reply) : textOf(Buffer.from(reply), encoding);
  if (reply instanceof ErrorReply) return textOf(Buffer.from(reply.message), encoding);
  if (Buffer.isBuffer(reply)) return textOf(reply, encoding);
  return (reply as readonly Reply[]).map((item) => jsonOf(item, encoding));
}

/** A status reply of digits alone exists only where a script makes one up. */
const INTEGER = /^-?\d+$/;

/** Not in TypeScript's library yet (ECMA-262, proposal JSON.parse source text access). */
const RAW_JSON = JSON as JSON & { rawJSON(text: string): unknown };

/** All 64 bits of it: JSON knows no limit, a double does. */
function integerOf(digits: string): unknown {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : RAW_JSON.rawJSON(digits);
}

function textOf(bytes: Buffer, encoding: Encoding): string {
  return bytes.toString(encoding === "base64" ? "base64" : "utf8");
}
