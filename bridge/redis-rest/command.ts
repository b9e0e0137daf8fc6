/** A command as a request says it. Bytes stay bytes: a path or a body may carry any. */
import { MillraceError } from "../../functions/core/errors.ts";

/** Name and arguments as they go to Redis. */
export type Command = readonly (string | Buffer)[];

/** Commands of one request: bounds how long one request keeps the connection all of them share. */
const MAX_PIPELINE_COMMANDS = 10_000;
/** Values of one JSON body, names and arguments of all its commands: some million would take seconds to read, in which nobody else is served. */
const MAX_VALUES = 100_000;

/**
 * `["SET","foo","bar"]`. Strings, numbers and booleans are taken, as @upstash/redis sends all three; a number keeps its digits.
 * @throws MillraceError `invalid-input`.
 */
export function parseCommand(body: Uint8Array): Command {
  return toCommand(parseJson(body));
}

/** `[["SET","foo","bar"],["GET","foo"]]`. @throws MillraceError `invalid-input`. */
export function parseCommands(body: Uint8Array): Command[] {
  const commands = parseJson(body);
  if (!Array.isArray(commands)) throw invalid("expected a JSON array of commands");
  if (commands.length === 0) throw invalid("it is empty, expected a command or more");
  if (commands.length > MAX_PIPELINE_COMMANDS) {
    throw invalid(`it has ${commands.length} commands, expected at most ${MAX_PIPELINE_COMMANDS}`);
  }
  return commands.map(toCommand);
}

/**
 * `/set/foo/bar` with a body and a query: a body is the next argument after the path, then come name and value of each query parameter
 * (Upstash, REST API, "JSON or Binary Value").
 * @param target Path and query as the request line has them: a URL parser would take `..` and empty arguments out of it.
 * @throws MillraceError `invalid-input`.
 */
export function parsePath(target: string, body: Uint8Array): Command {
  const { segments, query } = splitTarget(target);
  const value = body.byteLength === 0 ? [] : [Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
  return [...segments, ...value, ...query];
}

/** The decoded arguments of a request line. @throws MillraceError `invalid-input`. */
export function splitTarget(target: string): { segments: Buffer[]; query: Buffer[]; path: string } {
  // A proxy may send the whole URL (RFC 9112, section 3.2.2).
  const origin = target.replace(/^https?:\/\/[^/?]*/i, "");
  const at = origin.indexOf("?");
  const path = at === -1 ? origin : origin.slice(0, at);
  const parameters = at === -1 ? [] : origin.slice(at + 1).split("&");
  return {
    path,
    segments: path.slice(1).split("/").map(decodePercent),
    query: parameters
      .filter((parameter) => parameter !== "")
      .flatMap((parameter) => {
        const equals = parameter.indexOf("=");
        const parts = equals === -1 ? [parameter] : [parameter.slice(0, equals), parameter.slice(equals + 1)];
        return parts.map((part) => decodePercent(part.replaceAll("+", " ")));
      }),
  };
}

/** Percent-encoded bytes, which need not be UTF-8. */
function decodePercent(text: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalid("a % is not followed by two hexadecimal digits");
  const bytes = Buffer.from(text).toString("latin1");
  const decoded = bytes.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, "latin1");
}

function parseJson(body: Uint8Array): unknown {
  const { values, hasNumber } = survey(body);
  if (values > MAX_VALUES) throw invalid(`it has over ${MAX_VALUES} values, expected fewer`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw invalid("it is not UTF-8");
  }
  try {
    return hasNumber ? JSON.parse(text, keepDigits) : JSON.parse(text);
  } catch {
    throw invalid("it is not JSON");
  }
}

/** Bytes of JSON. */
const [QUOTE, BACKSLASH, COMMA, BRACKET, ZERO, NINE] = [0x22, 0x5c, 0x2c, 0x5b, 0x30, 0x39];

/** What parsing will cost, at a hundredth of it (10 MiB: 15 ms): how many values there may be at most, and whether one is a number. */
function survey(body: Uint8Array): { values: number; hasNumber: boolean } {
  let values = 1;
  let hasNumber = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (byte === QUOTE) {
      for (at++; at < body.length && body[at] !== QUOTE; at++) if (body[at] === BACKSLASH) at++;
    } else if (byte === COMMA || byte === BRACKET) values++;
    else if (byte >= ZERO && byte <= NINE) hasNumber = true;
  }
  return { values, hasNumber };
}

/** A number as it was written: as a double it might be another one. */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" ? (context?.source ?? String(value)) : value;
}

function toCommand(value: unknown): Command {
  if (!Array.isArray(value)) throw invalid('expected a JSON array such as ["GET","key"]');
  if (value.length === 0) throw invalid("a command is empty, expected its name");
  return value.map((argument: unknown) => {
    if (typeof argument === "string") return argument;
    if (typeof argument === "boolean") return String(argument);
    throw invalid(
      `an argument is ${argument === null ? "null" : typeof argument}, expected a string, number or boolean`,
    );
  });
}

function invalid(reason: string): MillraceError {
  return new MillraceError("invalid-input", `ERR Cannot read the request: ${reason}`);
}
