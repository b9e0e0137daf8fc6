/** What the sections of bridge.yaml are made of, whatever the broker: values with their bounds, and the rules of decode.ts. */
import { z } from "zod";
import { isCompanyId, isEventType } from "../../functions/core/ids.ts";
import type { DecodeRules } from "../decode.ts";
import type { Locator } from "../locator.ts";

/** What every source has. */
export interface CommonConfig {
  /** Unique; in the events' `source`, in logs and in metric labels. */
  readonly name: string;
  readonly enabled: boolean;
  readonly rules: DecodeRules;
}

/** Where a value may be found in a message of the broker; a field of the payload always can. */
export type Place = "header" | "subjectToken";

/** `a, b or c` */
export const oneOf = (items: readonly string[]) =>
  items.length < 2 ? items.join() : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`;

export const text = (pattern: RegExp, expected: string) =>
  z.string(`expected ${expected}`).regex(pattern, `expected ${expected}`);

export const whole = (min: number, max: number) => {
  const message = `expected a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};

/** With the credentials: never shown. @param protocols Such as `nats`. */
export const url = (...protocols: string[]) =>
  z
    .string("expected a URL")
    .refine(
      (given) => URL.canParse(given) && protocols.includes(new URL(given).protocol.slice(0, -1)),
      `expected a URL of ${oneOf(protocols.map((protocol) => `${protocol}://`))}`,
    );

/** One or several. */
export const listOf = <Item extends z.ZodType>(item: Item) =>
  z.preprocess(
    (input) => (input === undefined || Array.isArray(input) ? input : [input]),
    z.array(item).min(1, "expected at least one").optional(),
  );

export const common = {
  name: text(/^[A-Za-z0-9._-]{1,64}$/, "1-64 characters of A-Z a-z 0-9 . _ -"),
  enabled: z.boolean("expected true or false").default(true),
};

const FIELD = text(/^[^.]+(\.[^.]+)*$/, "names joined by dots").optional();
const PLACES = {
  header: text(/^[!-9;-~]{1,128}$/, "the name of a header").optional(),
  subjectToken: whole(1, 64).optional(),
};

/** A locator of exactly one of the given keys. */
function locator(shape: z.ZodRawShape) {
  const message = `expected exactly one of ${Object.keys(shape).join(", ")}`;
  return z
    .strictObject(shape, { error: ({ code }) => (code === "invalid_type" ? message : undefined) })
    .refine((given) => Object.keys(given).length === 1, message)
    .transform((given) => given as unknown as Locator);
}

/** The keys `company`, `type`, `id` and `time` of a source whose messages have these places. */
export function ruleKeys(...places: Place[]) {
  const { header, subjectToken } = PLACES;
  const named = { ...(places.includes("header") ? { header } : {}), field: FIELD };
  const found = { ...named, ...(places.includes("subjectToken") ? { subjectToken } : {}) };
  const company = z.custom<string>(isCompanyId, "expected 1-64 characters of A-Z a-z 0-9 . _ -").optional();
  const type = z.custom<string>(isEventType, "expected 1-64 characters of a-z 0-9 . _ -").optional();
  const id = z.union([z.enum(["content", "random"]), locator(found)], {
    error: `expected content, random, or exactly one of ${Object.keys(found).join(", ")}`,
  });
  return {
    company: listOf(locator({ ...found, value: company })),
    type: listOf(locator({ ...found, value: type })),
    id: listOf(id),
    time: listOf(locator(named)),
  };
}
