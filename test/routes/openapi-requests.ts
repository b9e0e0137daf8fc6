/** Requests of an operation as the document has them: valid, at the limits, and broken. */
import fc from "fast-check";
import { ODD_TEXTS } from "./odd-texts.ts";
import type { ApiDocument, ApiOperation } from "./openapi-support.ts";

/** A request but for who asks. */
export interface Asked {
  /** Of each parameter by its name; none: it is left out. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** Undefined: none is sent. */
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
  /** Undefined: the header is left out. */
  readonly contentType: string | undefined;
  readonly accept: string | undefined;
}

/** What of JSON Schema the document uses. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly format?: string;
  readonly pattern?: string;
  readonly contentSchema?: Schema;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly examples?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** Values the schema allows, its limits and examples often. */
function valuesOf(document: ApiDocument, schema: Schema): fc.Arbitrary<unknown> {
  const { $ref, examples = [], anyOf = [], oneOf = [] } = schema;
  if ($ref !== undefined)
    return valuesOf(document, document.components.schemas[$ref.split("/").at(-1)!] as Schema);
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const some = [...anyOf, ...oneOf].map((one) => valuesOf(document, one));
  const types = Array.isArray(schema.type) ? schema.type : some.length > 0 ? [] : [schema.type];
  const made = types.map((type) => valuesOfType(document, { ...schema, type }));
  const known = examples.length > 0 ? [fc.constantFrom(...examples)] : [];
  return fc.oneof(...some, ...made, ...known);
}

function valuesOfType(document: ApiDocument, schema: Schema): fc.Arbitrary<unknown> {
  const { type, items, properties = {}, required = [], minLength = 0, maxLength, contentSchema } = schema;
  if (contentSchema !== undefined)
    return fc.oneof(
      fc.constant(""),
      valuesOf(document, contentSchema).map((value) => JSON.stringify(value)),
    );
  if (type === "string") return textsOf(schema, minLength, maxLength);
  if (type === "integer" || type === "number") {
    const { minimum = -(2 ** 31), maximum = 2 ** 31 - 1 } = schema;
    return fc.oneof(fc.constantFrom(minimum, maximum), fc.integer({ min: minimum, max: maximum }));
  }
  if (type === "boolean") return fc.boolean();
  if (type === "null") return fc.constant(null);
  if (type === "array") return fc.array(valuesOf(document, items ?? {}), { maxLength: 3 });
  if (type !== "object") return fc.jsonValue({ maxDepth: 2 });
  const members = Object.entries(properties).map(([name, member]) => [name, valuesOf(document, member)]);
  return fc.record(Object.fromEntries(members), { requiredKeys: [...required] as never[] });
}

function textsOf({ format, pattern }: Schema, minLength: number, maxLength = 40): fc.Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time") {
    const days = { min: new Date("2026-01-31T11:59:00Z"), max: new Date("2026-01-31T12:05:00Z") };
    const some = fc.oneof(
      fc.date(days),
      fc.date({ min: new Date(0), max: new Date("9998-12-31T00:00:00Z") }),
    );
    return fc
      .tuple(
        some.filter((date) => !Number.isNaN(date.getTime())),
        fc.constantFrom("Z", "+05:00", "-11:30"),
      )
      .map(([date, zone]) => date.toISOString().replace("Z", zone));
  }
  if (pattern !== undefined) {
    const texts = fc.stringMatching(new RegExp(pattern), { size: "xsmall" });
    return texts.filter((text) => text.length >= minLength && text.length <= maxLength * 100);
  }
  const limits = fc.constantFrom(minLength, maxLength).chain((length) => {
    return fc.string({ minLength: length, maxLength: length });
  });
  return fc.oneof(limits, fc.string({ unit: "binary", minLength, maxLength }));
}

/** Of whatever else: its neighbours, and what is nothing like it. */
const oddTexts = fc.oneof(
  fc.constantFrom(...ODD_TEXTS, "2026-02-30T00:00:00Z", "2026-01-31", "GPU-1", "a".repeat(257)),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.integer().map(String),
);
const deep = fc
  .tuple(fc.constantFrom("[", '{"a":'), fc.constantFrom(10, 500, 700, 2_000))
  .map(([open, depth]) => `${open.repeat(depth)}0${(open === "[" ? "]" : "}").repeat(depth)}`);

/** A text near the one given: cut, longer by one, another case, or with something odd in it. */
const near = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.nat(), oddTexts, fc.constantFrom("cut", "odd", "upper", "more"))
    .map(([given, at, odd, how]) => {
      const place = at % (given.length + 1);
      if (how === "cut") return given.slice(0, place);
      if (how === "upper") return given.toUpperCase();
      if (how === "more") return `${given}${/\d$/.test(given) ? "0" : "x"}`;
      return given.slice(0, place) + odd + given.slice(place);
    });

/** `hints`: of parameters by name, what the document cannot say of them. */
export function requestsOf(
  document: ApiDocument,
  { parameters = [], requestBody }: ApiOperation,
  hints: Readonly<Record<string, fc.Arbitrary<unknown>>> = {},
): fc.Arbitrary<Asked> {
  const of = (name: string, schema: Schema) => {
    const values = valuesOf(document, schema);
    const hint = hints[name];
    return hint === undefined ? values : fc.oneof({ weight: 3, arbitrary: hint }, values);
  };
  const valuesBy = (isBroken: boolean) =>
    fc.record(
      Object.fromEntries(
        parameters.map(({ name, in: place, required, schema }) => {
          const good = of(name, schema as Schema).map(String);
          const text = isBroken ? fc.oneof({ weight: 3, arbitrary: good }, near(good), oddTexts) : good;
          const once = text.map((value) => [value]);
          if (place === "path") return [name, once];
          if (!isBroken) return [name, required ? once : fc.oneof(once, fc.constant([]))];
          const twice = place === "query" ? [fc.tuple(text, text)] : [];
          return [
            name,
            fc.oneof({ weight: 6, arbitrary: once }, { weight: 3, arbitrary: fc.constant([]) }, ...twice),
          ];
        }),
      ),
    );
  const schema = requestBody?.content["application/json"]?.schema as Schema | undefined;
  const bodyOf = schema === undefined ? undefined : of("body", schema);
  const accept = fc.constantFrom(undefined, "*/*", "application/json", "text/event-stream", "text/html");
  return fc.oneof(
    fc.record({ values: valuesBy(false), ...goodBodies(bodyOf), accept }),
    fc.record({ values: valuesBy(true), ...brokenBodies(bodyOf), accept }),
  );
}

const goodBodies = (bodies: fc.Arbitrary<unknown> | undefined) => ({
  body: bodies?.map((value) => JSON.stringify(value)) ?? fc.constant(undefined),
  contentType: fc.constantFrom("application/json", "Application/JSON; charset=utf-8"),
});

const TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];

function brokenBodies(bodies: fc.Arbitrary<unknown> = fc.jsonValue({ maxDepth: 2 })) {
  const values = fc.jsonValue({ maxDepth: 3 });
  const changed = fc
    .tuple(bodies, fc.nat(), oddTexts, fc.oneof(values, oddTexts))
    .map(([body, n, odd, value]) => {
      if (typeof body !== "object" || body === null) return value;
      const names = Object.keys(body);
      const { [names[n % names.length]!]: _, ...rest } = body as Record<string, unknown>;
      if (n % 3 === 0) return rest;
      return Object.fromEntries([
        ...Object.entries(body),
        [n % 3 === 1 ? names[n % names.length] : odd, value],
      ]);
    });
  const texts = fc.oneof(bodies, changed, values).map((value) => JSON.stringify(value));
  const bytes = fc.uint8Array({ maxLength: 40 }).map((some) => new Uint8Array(some));
  return {
    body: fc.oneof(
      { weight: 8, arbitrary: texts },
      { weight: 2, arbitrary: near(texts) },
      ...[deep, oddTexts, bytes, fc.constantFrom(undefined, `"${"x".repeat(70_000)}"`)],
    ),
    contentType: fc.oneof(
      { weight: 8, arbitrary: fc.constant("application/json") },
      fc.constantFrom(undefined, "", "application/jsonp", "application/json, text/plain", ...TYPES),
    ),
  };
}
