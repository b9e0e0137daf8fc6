/** What a service gives, as JSON, whatever it is. Nothing here throws. */
import { describeError } from "../../functions/core/errors.ts";

/** Characters of what may be anything, in one message: the bridge takes 128 KiB. */
const MAX_CHARS = 24 * 1024;
/** Characters of the reason why something cannot be JSON. */
const MAX_WHY_CHARS = 200;
const UNREADABLE = "cannot be read";

/** A text as it is, an error as its name and message, anything else as JSON. */
export function toText(value: unknown): string {
  if (typeof value === "string") return value;
  return attempt(() => (value instanceof Error ? String(plain("", value)) : toJson(value)), UNREADABLE);
}

/** What went wrong, of anything that was thrown. */
export function reasonOf(thrown: unknown): string {
  return attempt(() => String(describeError(thrown)), UNREADABLE);
}

/**
 * An error is its name and message, a BigInt its digits, what JSON has no word for is null; what cannot be JSON, or is too large, is a text
 * that says so.
 */
export function toJson(value: unknown, maxChars = MAX_CHARS): string {
  try {
    const text = JSON.stringify(value, plain) ?? "null";
    return text.length <= maxChars ? text : JSON.stringify(`left out: ${text.length} characters`);
  } catch (cause) {
    const [why] = reasonOf(cause).split("\n", 1);
    return JSON.stringify(`left out: ${why?.slice(0, MAX_WHY_CHARS)}`);
  }
}

/** `"a":1,"b":2`, each as {@link toJson} has it, so that one that cannot be costs the others nothing. */
export function toMembers(entries: Iterable<readonly [name: string, value: unknown]>): string {
  let chars = 0;
  return Array.from(entries)
    .filter(([, value]) => typeof value !== "function")
    .map(([name, value]) => {
      const text = `${JSON.stringify(name)}:${toJson(value, MAX_CHARS - chars)}`;
      chars += text.length;
      return text;
    })
    .join(",");
}

/** The members of what should be an object; none of what is not. */
export function entriesOf(value: unknown): (readonly [name: string, value: unknown])[] {
  const record = Object(value) as Readonly<Record<string, unknown>>;
  const names = attempt(() => (record === value ? Object.keys(record) : []), []);
  return names.map((name) => [name, attempt(() => record[name], `left out: ${UNREADABLE}`)]);
}

/** A getter, a proxy, a `toString` may throw. */
function attempt<Result>(read: () => Result, otherwise: Result): Result {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
