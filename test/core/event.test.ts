import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import {
  type EventInput,
  encodeRecord,
  parseEvent,
  recordData,
  recordType,
} from "../../functions/core/event.ts";
import { MAX_ATTRIBUTE_CHARS, MAX_DATA_BYTES } from "../../functions/core/limits.ts";

const valid: EventInput = {
  companyId: "acme",
  source: "/test",
  id: "1",
  type: "metric_updated",
  time: "2026-01-31T12:00:00Z",
  dataText: '{"companyId":"acme","value":1}',
};
const parse = (change: Partial<EventInput>) => parseEvent({ ...valid, ...change });
const dataOf = (dataText: string) => parse({ dataText }).data;

describe("parseEvent data", () => {
  it.each([
    ["an object that names its company", '{"companyId":"acme","a":1}', '{"companyId":"acme","a":1}'],
    [
      "a nested companyId beside its own",
      '{"companyId":"acme","a":{"companyId":"globex"},"b":"\\u0041"}',
      '{"companyId":"acme","a":{"companyId":"globex"},"b":"\\u0041"}',
    ],
    ["an object without", '{"a":1}', '{"companyId":"acme","a":1}'],
    ["an empty object", "{ }", '{"companyId":"acme"}'],
    ["an array", "[1,2]", '{"companyId":"acme","value":[1,2]}'],
    ["a number", "17", '{"companyId":"acme","value":17}'],
    ["null", "null", '{"companyId":"acme","value":null}'],
    ["a text", '"x"', '{"companyId":"acme","value":"x"}'],
    [
      "a nested companyId of its own",
      '{"a":{"companyId":"globex"}}',
      '{"companyId":"acme","a":{"companyId":"globex"}}',
    ],
    [
      "a key that looks like one",
      '{"__proto__":{"companyId":"x"}}',
      '{"companyId":"acme","__proto__":{"companyId":"x"}}',
    ],
    [
      "line breaks between tokens",
      '{\r\n  "a": 1,\n\r"b": [\n2]\n}\n',
      '{"companyId":"acme","a": 1, "b": [ 2] }',
    ],
    [
      "numbers no double holds",
      '{"n":12345678901234567890.10}',
      '{"companyId":"acme","n":12345678901234567890.10}',
    ],
    ["escapes and key order", '{"b":"\\u00e9\\n","a":1}', '{"companyId":"acme","b":"\\u00e9\\n","a":1}'],
    ["raw U+2028, emoji", '{"a":"\u2028🚂"}', '{"companyId":"acme","a":"\u2028🚂"}'],
  ])("keeps %s", (_what, text, expected) => {
    expect(dataOf(text)).toBe(expected);
  });

  it.each([
    ["another company", '{"companyId":"globex"}', 'companyId: "globex"'],
    ["another company behind an escape", '{"company\\u0049d":"globex"}', 'companyId: "globex"'],
    ["two companies", '{"companyId":"acme","companyId":"globex"}', 'companyId: "globex"'],
    ["two companies, its own last", '{"companyId":"globex","companyId":"acme"}', "more than once"],
    ["its company twice", '{"companyId":"acme","a":{},"companyId":"acme"}', "more than once"],
    ["another behind an escape first", '{"company\\u0049d":"globex","companyId":"acme"}', "more than once"],
    ["a company that is no text", '{"companyId":["acme"]}', "companyId"],
    ["no company at all", '{"companyId":null}', "companyId"],
    ["nothing", "", "not JSON"],
    ["half a message", '{"a":', "not JSON"],
    ["NaN", "NaN", "not JSON"],
    ["a raw line break in a string", '{"a":"x\ny"}', "not JSON"],
  ])("refuses %s", (_what, text, expected) => {
    expect(() => dataOf(text)).toThrow(MillraceError);
    expect(() => dataOf(text)).toThrow(expected);
  });

  it("is one line that means the same, for any JSON", () => {
    fc.assert(
      fc.property(
        fc.json({ stringUnit: "binary" }),
        fc.constantFrom(undefined, 1, "\n", "\r\n"),
        (json, space) => {
          const text = typeof space === "string" ? json.replaceAll(/(?<=^|[[{])/g, space) : json;
          let value: unknown;
          try {
            value = JSON.parse(text);
          } catch {
            return; // The break landed in a string.
          }
          if (value !== null && typeof value === "object" && Object.hasOwn(value, "companyId")) return;
          const data = dataOf(text);
          expect(data).not.toMatch(/[\r\n]/);
          const { companyId, ...rest } = JSON.parse(data);
          expect(companyId).toBe("acme");
          const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
          expect(JSON.stringify(rest)).toBe(JSON.stringify(isObject ? value : { value }));
        },
      ),
    );
  });

  it("counts bytes, not characters", () => {
    const room = MAX_DATA_BYTES - '{"a":""}'.length;
    expect(() => dataOf(`{"a":"${"x".repeat(room)}"}`)).not.toThrow();
    expect(() => dataOf(`{"a":"${"x".repeat(room + 1)}"}`)).toThrow(
      /^Cannot read event data: over 131072 bytes/,
    );
    expect(() => dataOf(`{"a":"${"é".repeat(room / 2 + 1)}"}`)).toThrow(/over 131072 bytes/);
  });
});

describe("parseEvent attributes", () => {
  it.each(["companyId", "source", "id", "type"] as const)("needs %s", (name) => {
    expect(() => parse({ [name]: undefined })).toThrow(new RegExp(`^Cannot read event ${name}: `));
    expect(() => parse({ [name]: "" })).toThrow(new RegExp(`^Cannot read event ${name}: `));
    expect(() => parse({ [name]: 5 })).toThrow(new RegExp(`^Cannot read event ${name}: "5", expected`));
  });

  it.each([
    ["companyId", "a b"],
    ["companyId", { toString: () => "acme" }],
    ["type", "Metric"],
    ["type", "a\ndata: x"],
    ["id", "a\nb"],
    ["id", "a\u0000"],
    ["id", "a\u0085"],
    ["id", "\ud800"],
    ["id", "x".repeat(MAX_ATTRIBUTE_CHARS + 1)],
    ["source", "a\rb"],
    ["subject", ""],
    ["subject", "a\u007f"],
    ["time", "yesterday"],
    ["time", "2026-01-31"],
    ["time", "2026-13-01T00:00:00Z"],
    ["time", "2026-02-30T00:00:00Z"],
    ["time", "2025-02-29T00:00:00Z"],
    ["time", "2026-01-01T00:00:00"],
    ["time", "2026-01-01T00:00:00Z\n"],
    ["time", 0],
  ])("refuses %s %j", (name, value) => {
    expect(() => parse({ [name]: value })).toThrow(
      new RegExp(`^Cannot read event ${name}: .*, expected`, "s"),
    );
  });

  it.each(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789+05:30", "2026-01-31t12:00:00z"])(
    "takes the time %j as it is",
    (time) => {
      expect(parse({ time }).time).toBe(time);
    },
  );

  it("takes now for a missing time, and leaves a missing subject out", () => {
    const event = parse({ time: undefined });
    expect(Math.abs(Date.now() - Date.parse(event.time))).toBeLessThan(60_000);
    expect("subject" in event).toBe(false);
  });

  it("takes emoji and a full-length id", () => {
    expect(parse({ id: "🚂".repeat(MAX_ATTRIBUTE_CHARS / 2) }).id).toHaveLength(MAX_ATTRIBUTE_CHARS);
  });
});

describe("encodeRecord", () => {
  it("is CloudEvents JSON on one line whose type and data can be cut out unparsed, whatever the attributes hold", () => {
    const attribute = fc
      .oneof(
        fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
        fc.constantFrom(',"data":', '","data":{"x":1}', '\\","data":', '"', "\\", '{"type":"x"}', ","),
      )
      .filter((text) => !/[\u0000-\u001f\u007f-\u009f]/.test(text));
    fc.assert(
      fc.property(
        attribute,
        attribute,
        fc.option(attribute, { nil: undefined }),
        fc.json(),
        (source, id, subject, json) => {
          fc.pre(!json.includes("companyId"));
          const event = parse({ source, id, dataText: json, ...(subject === undefined ? {} : { subject }) });
          const record = encodeRecord(event);
          expect(record).not.toMatch(/[\r\n]/);
          expect(recordType(record)).toBe(event.type);
          expect(recordData(record)).toBe(event.data);
          expect(JSON.parse(record)).toEqual({
            specversion: "1.0",
            type: "metric_updated",
            source,
            id,
            ...(subject === undefined ? {} : { subject }),
            time: valid.time,
            companyid: "acme",
            datacontenttype: "application/json",
            data: JSON.parse(event.data),
          });
        },
      ),
    );
  });
});
