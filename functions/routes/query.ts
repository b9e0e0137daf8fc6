/**
 * Query parameters and headers, parsed once into the types the rest trusts, by the schemas that also document them (see operation.ts). Each
 * error names the parameter and its value. What a schema says of a parameter reads on after a colon: `expected …`.
 */
import * as z from "zod";
import { type Cursor, parseCursor } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, type EventType, isCompanyId, isEventType, quote } from "../core/ids.ts";
import { MAX_FILTER_TYPES } from "../core/limits.ts";
import { readTimestamp } from "../core/timestamp.ts";

/** The query of a request. */
export function queryOf(c: { readonly req: { readonly url: string } }): URLSearchParams {
  return new URL(c.req.url).searchParams;
}

/** @throws MillraceError `invalid-input`, also for a parameter that is given more than once: it says nothing clear. Others are ignored. */
export function readQuery<Schema extends z.ZodObject>(
  schema: Schema,
  query: URLSearchParams,
): z.output<Schema> {
  return read(schema, (name) => {
    const values = query.getAll(name);
    if (values.length > 1) throw invalid(name, undefined, `given ${values.length} times, expected it once`);
    return values[0];
  });
}

/** @throws MillraceError `invalid-input`. */
export function readHeaders<Schema extends z.ZodObject>(schema: Schema, headers: Headers): z.output<Schema> {
  return read(schema, (name) => headers.get(name) ?? undefined);
}

/** One after the other, so that the first that is wrong is the one that is named. */
function read<Schema extends z.ZodObject>(
  schema: Schema,
  textOf: (name: string) => string | undefined,
): z.output<Schema> {
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(schema.shape)) {
    const text = textOf(name);
    const result = z.safeParse(field, text);
    if (result.success) {
      values[name] = result.data;
      continue;
    }
    const issue = result.error.issues[0]!;
    const { value = text, was }: Shown = issue.code === "custom" ? (issue.params ?? {}) : {};
    const found = text === undefined ? "missing, " : was === undefined ? "" : `${was}, `;
    throw invalid(name, value, found + issue.message, result.error);
  }
  return values as z.output<Schema>;
}

/** What an issue shows in place of the parameter's text, and says of it. */
interface Shown {
  readonly value?: string;
  readonly was?: string;
}

function invalid(name: string, value: string | undefined, what: string, cause?: Error): MillraceError {
  const shown = value === undefined ? "" : ` ${quote(value)}`;
  return new MillraceError(
    "invalid-input",
    `Cannot read ${name}${shown}: ${what}`,
    cause === undefined ? undefined : { cause },
  );
}

export const COMPANY = z
  .custom<CompanyId>(isCompanyId, "expected 1-64 characters of A-Z a-z 0-9 . _ -")
  .meta({ type: "string", pattern: "^[A-Za-z0-9._-]{1,64}$", examples: ["acme"] });

/** Empty: as if it were not there. */
export const CURSOR = z
  .string()
  .transform((text, context): Cursor | undefined => {
    if (text === "") return undefined;
    try {
      return parseCursor(text);
    } catch {
      context.addIssue("expected the id of an event of this stream, as it was sent");
      return z.NEVER;
    }
  })
  .meta({
    pattern: "^([A-Za-z0-9]{1,24}\\.(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14}))?$",
    examples: ["0.0-0"],
  });

/** Event types, separated by commas. */
export const TYPES = z
  .string()
  .transform((text, context): ReadonlySet<EventType> => {
    // One more than allowed is enough to know; a URL may hold a hundred thousand commas.
    const items = text.split(",", MAX_FILTER_TYPES + 1);
    if (items.length > MAX_FILTER_TYPES) {
      const params: Shown = { was: `more than ${MAX_FILTER_TYPES}` };
      context.addIssue({ code: "custom", message: `expected at most ${MAX_FILTER_TYPES}`, params });
      return z.NEVER;
    }
    const types = new Set<EventType>();
    for (const item of items) {
      if (isEventType(item)) types.add(item);
      else {
        const message = "expected types of 1-64 characters of a-z 0-9 . _ -, separated by commas";
        const params: Shown = { value: item };
        context.addIssue({ code: "custom", message, params });
        return z.NEVER;
      }
    }
    return types;
  })
  .meta({
    description: `Only these event types, separated by commas, at most ${MAX_FILTER_TYPES}`,
    pattern: `^[a-z0-9._-]{1,64}(,[a-z0-9._-]{1,64}){0,${MAX_FILTER_TYPES - 1}}$`,
    examples: ["metric_updated,sroi_updated"],
  });

/** One of the words. */
export function choice<const T extends string>(...choices: readonly [T, ...T[]]) {
  return z.enum(choices, `expected ${choices.join(" or ")}`);
}

/** A whole number from 1 to `max`. */
export function count(max: number) {
  const expected = `expected a whole number from 1 to ${max}`;
  // Nine digits: as many as `page` has, and whatever is longer is no number of anything here.
  const toNumber = (text: unknown) =>
    typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : text;
  return z.preprocess(toNumber, z.int(expected).min(1, expected).max(max, expected));
}

/** Milliseconds since 1970 (core/timestamp.ts). */
export const TIME = z
  .string()
  .transform((text, context) => {
    const timeMs = readTimestamp(text);
    if (timeMs !== undefined) return timeMs;
    context.addIssue("expected RFC 3339 such as 2026-01-31T12:00:00Z (a + is written %2B)");
    return z.NEVER;
  })
  .meta({ format: "date-time", examples: ["2026-01-31T12:00:00Z"] });
