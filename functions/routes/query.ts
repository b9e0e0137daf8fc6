/** Query parameters, parsed once into the types the rest trusts. Each error names the parameter and its value. */
import { type Cursor, parseCursor } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, type EventType, isCompanyId, isEventType, quote } from "../core/ids.ts";
import { MAX_FILTER_TYPES } from "../core/limits.ts";

/** The query of a request. */
export function queryOf(c: { readonly req: { readonly url: string } }): URLSearchParams {
  return new URL(c.req.url).searchParams;
}

/** @throws MillraceError `invalid-input`, as everything here: given more than once, a parameter says nothing clear. */
export function readOnce(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw invalid(name, `given ${values.length} times`, "it once");
  return values[0];
}

export function readCompany(query: URLSearchParams): CompanyId {
  const text = readOnce(query, "companyId");
  if (isCompanyId(text)) return text;
  const was = text === undefined ? "missing" : undefined;
  throw invalid("companyId", was, "1-64 characters of A-Z a-z 0-9 . _ -", text);
}

/** `name` says where the text came from. Undefined and empty: no cursor. */
export function readCursor(name: string, text: string | undefined): Cursor | undefined {
  if (!text) return undefined;
  try {
    return parseCursor(text);
  } catch (cause) {
    throw invalid(name, undefined, "the id of an event of this stream, as it was sent", text, { cause });
  }
}

/** Undefined: no filter. */
export function readTypes(query: URLSearchParams): ReadonlySet<EventType> | undefined {
  const text = readOnce(query, "types");
  if (text === undefined) return undefined;
  // One more than allowed is enough to know; a URL may hold a hundred thousand commas.
  const items = text.split(",", MAX_FILTER_TYPES + 1);
  if (items.length > MAX_FILTER_TYPES) {
    throw invalid("types", `more than ${MAX_FILTER_TYPES}`, `at most ${MAX_FILTER_TYPES}`, text);
  }
  const types = new Set<EventType>();
  for (const item of items) {
    if (!isEventType(item)) {
      throw invalid(
        "types",
        undefined,
        "types of 1-64 characters of a-z 0-9 . _ -, separated by commas",
        item,
      );
    }
    types.add(item);
  }
  return types;
}

/** One of the words; the first when the parameter is missing. */
export function readChoice<const T extends string>(
  query: URLSearchParams,
  name: string,
  choices: readonly [T, ...T[]],
): T {
  const text = readOnce(query, name);
  if (text === undefined) return choices[0];
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw invalid(name, undefined, choices.join(" or "), text);
  return found;
}

/** A whole number from 1 to `max`. */
export function readCount(
  query: URLSearchParams,
  name: string,
  { max, fallback }: { max: number; fallback: number },
): number {
  const text = readOnce(query, name);
  if (text === undefined) return fallback;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > max) throw invalid(name, undefined, `a whole number from 1 to ${max}`, text);
  return count;
}

function invalid(
  name: string,
  was: string | undefined,
  expected: string,
  value?: string,
  options?: ErrorOptions,
): MillraceError {
  const shown = value === undefined ? "" : ` ${quote(value)}`;
  const found = was === undefined ? "" : `${was}, `;
  return new MillraceError(
    "invalid-input",
    `Cannot read ${name}${shown}: ${found}expected ${expected}`,
    options,
  );
}
