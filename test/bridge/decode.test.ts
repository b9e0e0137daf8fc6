import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDecode, type DecodeRules } from "../../bridge/decode.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { memberText } from "../../functions/core/json-member.ts";
import type { Decoded, RawMessage } from "../../functions/ports/broker-source.ts";

interface Given {
  readonly subject?: string;
  readonly headers?: Record<string, string>;
  readonly messageId?: string;
}

const raw = (body: string | Uint8Array, given: Given = {}): RawMessage => ({
  subject: given.subject ?? "",
  headers: given.headers ?? {},
  body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  messageId: given.messageId,
});
const json = (value: object, given?: Given) => raw(JSON.stringify(value), given);

const decodeWith = (rules: DecodeRules, lastResortId: "content" | "random" = "content") =>
  createDecode({ source: "/nats/main", rules, lastResortId });
const decode = decodeWith({});

function eventOf(decoded: Decoded): MillraceEvent {
  if ("undecodable" in decoded) throw new Error(decoded.undecodable.reason);
  return decoded.event;
}
function reasonOf(decoded: Decoded): string {
  if ("event" in decoded) throw new Error(`decoded: ${JSON.stringify(decoded.event)}`);
  return decoded.undecodable.reason;
}

const cloudEvent = {
  specversion: "1.0",
  id: "e-1",
  source: "/shop/tills",
  type: "order.paid",
  subject: "till 4",
  time: "2026-01-31T12:00:00+05:00",
  companyid: "acme",
  data: { total: 3 },
};

describe("decode, a plain message", () => {
  it("all defaults: company and id from the payload, type from the subject, source from the config", () => {
    const event = eventOf(
      decode(
        json(
          { companyId: "acme", id: "m-1", ts: "2026-01-31T12:00:00Z", value: 0.85 },
          { subject: "metrics.calculated" },
        ),
      ),
    );
    expect(event).toEqual({
      companyId: "acme",
      source: "/nats/main",
      id: "m-1",
      type: "metric_updated",
      subject: "metrics.calculated",
      time: "2026-01-31T12:00:00Z",
      data: '{"companyId":"acme","id":"m-1","ts":"2026-01-31T12:00:00Z","value":0.85}',
    });
  });

  it("company: the header comes before the field, and a payload of another company is refused", () => {
    const headers = { companyid: "acme" };
    expect(eventOf(decode(json({ n: 1 }, { headers }))).companyId).toBe("acme");
    expect(reasonOf(decode(json({ companyId: "globex" }, { headers })))).toContain("data.companyId");
  });

  it("company: none is undecodable, whatever else is there", () => {
    expect(reasonOf(decode(json({ id: "1" }, { subject: "metrics.a" })))).toContain(
      "no company in the message",
    );
  });

  it.each([["toString"], ["__proto__"], ["constructor"]])("company: the header %s is no header", (name) => {
    expect(reasonOf(decodeWith({ company: [{ header: name }] })(json({})))).toContain("no company");
    expect(reasonOf(decodeWith({ company: [{ field: name }] })(json({})))).toContain("no company");
  });

  it.each([
    ["metrics.sroi", "sroi_updated"],
    ["q2q.done", "vis_updated"],
    ["journey.flag.set", "journey_flag_updated"],
    ["Orders.Created", "orders.created"],
  ])("type: subject %s is %s, and the payload's type is not asked", (subject, type) => {
    expect(eventOf(decode(json({ companyId: "acme", type: "gauge" }, { subject }))).type).toBe(type);
  });

  it.each([
    ["order.paid", "order.paid"],
    ["Order.Paid", "order.paid"],
    ["two words", "message"],
    [7, "7"],
    [undefined, "message"],
  ])("type: without a subject the payload's type %j is %s", (type, expected) => {
    expect(eventOf(decode(json({ companyId: "acme", type }))).type).toBe(expected);
  });

  it("type: a subject that cannot be a type is undecodable", () => {
    expect(reasonOf(decode(json({ companyId: "acme" }, { subject: "a b" })))).toContain("event type");
  });

  it("id: the broker's, then messageId, then id", () => {
    const body = { companyId: "acme", messageId: "m", id: "i" };
    expect(eventOf(decode(json(body, { messageId: "ORDERS.7" }))).id).toBe("ORDERS.7");
    expect(eventOf(decode(json(body))).id).toBe("m");
    expect(eventOf(decode(json({ companyId: "acme", id: "i" }))).id).toBe("i");
  });

  it("id: a number is taken as it is written", () => {
    expect(eventOf(decode(raw('{"companyId":"acme","id": 12345678901234567890 }'))).id).toBe(
      "12345678901234567890",
    );
  });

  it("id: by content it is the same for the same subject and body, and only for them", () => {
    const id = (body: object, subject: string) => eventOf(decode(json(body, { subject }))).id;
    const body = { companyId: "acme", n: 1 };
    expect(id(body, "metrics.a")).toBe(id(body, "metrics.a"));
    expect(id(body, "metrics.a")).not.toBe(id(body, "metrics.b"));
    expect(id(body, "metrics.a")).not.toBe(id({ ...body, n: 2 }, "metrics.a"));
  });

  it("received: a message decoded again has the same random id and the same time, and a stated one wins", () => {
    const received = { randomId: "letter-1", time: "2026-01-31T12:00:00.000Z" };
    const again = (rules: DecodeRules) =>
      createDecode({ source: "/tcp/main", rules, lastResortId: "random", received });
    const plain = json({ companyId: "acme" });
    for (const rules of [{}, { id: ["random" as const] }]) {
      expect(eventOf(again(rules)(plain))).toMatchObject({ id: "letter-1", time: received.time });
    }
    const stated = json({ companyId: "acme", id: 7, ts: "2026-01-01T00:00:00Z" });
    expect(eventOf(again({})(stated))).toMatchObject({ id: "7", time: "2026-01-01T00:00:00Z" });
    const marked = json({ companyId: "acme" }, { messageId: "broker-9" });
    expect(eventOf(again({})(marked)).id).toBe("broker-9");
    expect(eventOf(again({ id: ["content"] })(plain)).id).toBe(eventOf(decode(plain)).id);
  });

  it("id: at random it is another each time, as last resort and as a rule", () => {
    const body = json({ companyId: "acme", id: "7" });
    const lastResort = decodeWith({}, "random");
    expect(eventOf(lastResort(body)).id).toBe("7");
    expect(eventOf(lastResort(json({ companyId: "acme" }))).id).not.toBe(
      eventOf(lastResort(json({ companyId: "acme" }))).id,
    );
    const rule = decodeWith({ id: ["random"] });
    expect(eventOf(rule(body)).id).not.toBe(eventOf(rule(body)).id);
  });

  it.each([
    [{ ts: "2026-01-31T12:00:00Z", time: "2020-01-01T00:00:00Z" }, "2026-01-31T12:00:00Z"],
    [{ ts: 1769860800, timestamp: "2026-01-31T12:00:00.123456+05:00" }, "2026-01-31T12:00:00.123456+05:00"],
    [{ ts: "yesterday", time: "2026-13-31T12:00:00Z" }, undefined],
  ])("time: of %j it is %s, and now where none is RFC 3339", (body, expected) => {
    const { time } = eventOf(decode(json({ companyId: "acme", ...body })));
    if (expected) expect(time).toBe(expected);
    else expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  });

  it.each([["hello"], ["{"], [""], ['{"companyId":"acme"} {}'], ["{'companyId':'acme'}"]])(
    "a body that is not JSON (%j) is undecodable, and says so",
    (body) => {
      expect(reasonOf(decode(raw(body)))).toContain("not JSON");
    },
  );

  it("a body that is not UTF-8 is undecodable, and says so", () => {
    const body = Uint8Array.of(...new TextEncoder().encode('{"companyId":"acme","a":"'), 0xff, 0x22, 0x7d);
    expect(reasonOf(decode(raw(body)))).toContain("not UTF-8");
  });

  it("data that is no object is put beside the company", () => {
    expect(eventOf(decode(raw("[1.0]", { headers: { companyid: "acme" } }))).data).toBe(
      '{"companyId":"acme","value":[1.0]}',
    );
  });
});

describe("decode, by rules", () => {
  it("company: given locators replace the default ones, the first that yields a value wins", () => {
    const rules = decodeWith({
      company: [{ header: "X-Tenant" }, { field: "order.tenant" }, { subjectToken: 2 }, { value: "nobody" }],
    });
    const companyOf = (body: object, given?: Given) => eventOf(rules(json(body, given))).companyId;
    expect(companyOf({ order: { tenant: "b" } }, { headers: { "x-tenant": "a" }, subject: "o.c" })).toBe("a");
    expect(companyOf({ order: { tenant: "b" } }, { subject: "o.c" })).toBe("b");
    expect(companyOf({ order: { tenant: "" } }, { subject: "o.c" })).toBe("c");
    expect(companyOf({ order: "tenant" }, { subject: "o" })).toBe("nobody");
    expect(
      reasonOf(decodeWith({ company: [{ header: "x-tenant" }] })(json({ companyId: "acme" }))),
    ).toContain("no company");
  });

  it("type: a value found is lower-cased, and one that is no type is undecodable", () => {
    const rules = decodeWith({ type: [{ field: "kind" }] });
    const given = { subject: "metrics.a" };
    expect(eventOf(rules(json({ companyId: "acme", kind: "Paid" }, given))).type).toBe("paid");
    expect(eventOf(rules(json({ companyId: "acme" }, given))).type).toBe("metric_updated");
    expect(reasonOf(rules(json({ companyId: "acme", kind: "a b" }, given)))).toContain("event type");
  });

  it("id: given locators replace the broker's id", () => {
    const rules = decodeWith({ id: [{ header: "order" }] });
    expect(eventOf(rules(json({ companyId: "acme" }, { headers: { order: "7" }, messageId: "b" }))).id).toBe(
      "7",
    );
  });
});

describe("decode, a CloudEvent in the body", () => {
  it("says everything itself", () => {
    expect(eventOf(decode(json(cloudEvent, { subject: "metrics.calculated", messageId: "b" })))).toEqual({
      companyId: "acme",
      source: "/shop/tills",
      id: "e-1",
      type: "order.paid",
      subject: "till 4",
      time: "2026-01-31T12:00:00+05:00",
      data: '{"companyId":"acme","total":3}',
    });
  });

  it.each([
    [{ companyid: undefined, companyId: "acme" }, {}],
    [{ companyid: undefined, data: { companyId: "acme" } }, {}],
    [{ companyid: undefined }, { companyid: "acme" }],
  ])("company: also found in %j with headers %j", (more, headers) => {
    expect(eventOf(decode(json({ ...cloudEvent, ...more }, { headers }))).companyId).toBe("acme");
  });

  it("company: a rule and the event must agree", () => {
    const rules = decodeWith({ company: [{ subjectToken: 1 }] });
    expect(eventOf(rules(json(cloudEvent, { subject: "acme.x" }))).companyId).toBe("acme");
    expect(reasonOf(rules(json(cloudEvent, { subject: "globex.x" })))).toContain('"acme", expected "globex"');
    const unmet = decodeWith({ company: [{ header: "tenant" }] });
    expect(reasonOf(unmet(json(cloudEvent)))).toContain("no company");
  });

  it("rules see other attributes as ce- headers, and the data as fields", () => {
    const body = json({ ...cloudEvent, companyid: undefined, tenant: "acme" });
    expect(eventOf(decodeWith({ company: [{ header: "CE-Tenant" }] })(body)).companyId).toBe("acme");
    const inData = json({ ...cloudEvent, companyid: undefined, data: { tenant: "acme" } });
    expect(eventOf(decodeWith({ company: [{ field: "tenant" }] })(inData)).companyId).toBe("acme");
  });

  it.each([["id"], ["source"], ["type"]])("without its %s is undecodable", (name) => {
    expect(reasonOf(decode(json({ ...cloudEvent, [name]: undefined })))).toContain(`event ${name}`);
  });

  it("a time that is none is undecodable", () => {
    expect(reasonOf(decode(json({ ...cloudEvent, time: "noon" })))).toContain("event time");
  });

  it.each([
    [{ data: undefined }, '{"companyId":"acme"}'],
    [{ data: null }, '{"companyId":"acme","value":null}'],
    [{ data: "text" }, '{"companyId":"acme","value":"text"}'],
    [{ data: undefined, data_base64: btoa('{"a":1.0}') }, '{"companyId":"acme","a":1.0}'],
  ])("of %j the data is %s", (more, data) => {
    expect(eventOf(decode(json({ ...cloudEvent, ...more }))).data).toBe(data);
  });

  it("data in base64 that is not JSON is undecodable", () => {
    const body = json({ ...cloudEvent, data: undefined, data_base64: btoa("PNG") });
    expect(reasonOf(decode(body))).toContain("not JSON");
  });

  it("of another version is a plain message, unless the content type says that it is one", () => {
    const old = { ...cloudEvent, specversion: "0.3", companyId: "acme" };
    expect(eventOf(decode(json(old))).source).toBe("/nats/main");
    const headers = { "content-type": "application/cloudevents+json; charset=utf-8" };
    expect(reasonOf(decode(json(old, { headers })))).toContain("specversion");
    expect(reasonOf(decode(raw("[]", { headers })))).toContain("specversion");
  });
});

describe("decode, a CloudEvent in the headers", () => {
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/shop/tills",
    "ce-type": "Order.Paid",
    "ce-subject": "till%204%20%E2%82%AC",
    "ce-time": "2026-01-31T12:00:00Z",
    "ce-companyid": "acme",
  };

  it("says everything itself, percent-encoded", () => {
    expect(eventOf(decode(raw('{"total":3.0}', { headers, subject: "metrics.calculated" })))).toEqual({
      companyId: "acme",
      source: "/shop/tills",
      id: "e-1",
      type: "order.paid",
      subject: "till 4 €",
      time: "2026-01-31T12:00:00Z",
      data: '{"companyId":"acme","total":3.0}',
    });
  });

  it("leaves to the rules what it does not say", () => {
    const given = { headers: { "ce-id": "e%", companyid: "acme" }, subject: "metrics.calculated" };
    expect(eventOf(decode(raw("{}", given)))).toMatchObject({
      id: "e%",
      source: "/nats/main",
      type: "metric_updated",
    });
  });
});

/** JSON text with numbers that JSON.parse does not keep, odd spacing, and strings full of what ends a value. */
const jsonText = fc.letrec<{ value: string; object: string }>((tie) => {
  const space = fc.constantFrom("", " ", "\t");
  // No name ends in a backslash: once V8 14.6 has parsed {"x":1,"a\\":1} it reads {"x":1,"a\"":1} with the former's name.
  const name = fc.oneof(fc.constantFrom("data", "id", "a\\u0062", 'a\\"'), fc.stringMatching(/^[a-z]{1,5}$/));
  const member = fc
    .tuple(space, name, space, space, tie("value"), space)
    .map(([a, key, b, c, value, d]) => `${a}"${key}"${b}:${c}${value}${d}`);
  return {
    object: fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(",")}}`),
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom("12345678901234567890", "1.0", "-0.0", "1E400", "0.1e-7", "true", "null", "[]", "{}"),
      fc.constantFrom('"}"', '"\\""', '"\\\\"', '",\\"data\\":1"', '"[{"', '""'),
      fc.string().map((text) => JSON.stringify(text)),
      fc.array(tie("value"), { maxLength: 3 }).map((values) => `[${values.join(" , ")}]`),
      tie("object"),
    ),
  };
});

describe("memberText", () => {
  it("is the value as it is written, of a name given twice the last one, as JSON.parse has it", () => {
    expect(memberText('{"a":1,"b": {"a":2} , "\\u0061" : 3.0 }', "a")).toBe("3.0");
    fc.assert(
      fc.property(jsonText.object, (text) => {
        const parsed = JSON.parse(text) as Record<string, unknown>;
        for (const name of ["data", "id", "ab", 'a"', "absent"]) {
          const cut = memberText(text, name);
          expect(cut === undefined ? undefined : JSON.parse(cut)).toEqual(parsed[name]);
        }
      }),
    );
  });
});

describe("decode, properties", () => {
  it("the data of a CloudEvent in the body survives as it is written", () => {
    fc.assert(
      fc.property(jsonText.object, jsonText.value, fc.boolean(), (data, extension, dataLast) => {
        const members = Object.entries({ ...cloudEvent, data: undefined })
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => `"${key}":${JSON.stringify(value)}`);
        members.push(`"extension" : ${extension}`);
        members.splice(dataLast ? members.length : 2, 0, `"data" :\t${data} `);
        const decoded = decode(raw(`{ ${members.join(" , ")} }`));
        const own = JSON.parse(data) as { companyId?: unknown };
        const inside = data.trim().slice(1).trimStart();
        const expected = inside === "}" ? '{"companyId":"acme"}' : `{"companyId":"acme",${inside}`;
        expect(own.companyId).toBeUndefined();
        expect(eventOf(decoded).data).toBe(expected);
      }),
    );
  });

  it("a plain payload survives as it is written", () => {
    fc.assert(
      fc.property(jsonText.object, (data) => {
        const { data: out } = eventOf(decode(raw(data, { headers: { companyid: "acme" } })));
        const inside = data.slice(1).trimStart();
        expect(out).toBe(inside === "}" ? '{"companyId":"acme"}' : `{"companyId":"acme",${inside}`);
      }),
    );
  });

  it("never throws, whatever the bytes, headers, subject and rules", () => {
    const locator = fc.oneof(
      fc.record({ header: fc.string({ minLength: 1 }) }),
      fc.record({ field: fc.string({ minLength: 1 }) }),
      fc.record({ subjectToken: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ value: fc.string() }),
    );
    const locators = fc.option(fc.array(locator, { maxLength: 3 }), { nil: undefined });
    const body = fc.oneof(
      fc.uint8Array(),
      fc.oneof(fc.json(), jsonText.value).map((text) => new TextEncoder().encode(text)),
      fc
        .dictionary(fc.constantFrom(...Object.keys(cloudEvent), "data_base64", "x"), fc.jsonValue())
        .map((event) => new TextEncoder().encode(JSON.stringify({ ...event, specversion: "1.0" }))),
    );
    const rules = fc.record({ company: locators, type: locators, id: locators, time: locators });
    const headers = fc.dictionary(
      fc.oneof(fc.constantFrom("ce-id", "ce-time", "companyid", "content-type"), fc.string()),
      fc.oneof(fc.constantFrom("application/cloudevents+json", "%", "acme"), fc.string()),
    );
    fc.assert(
      fc.property(body, headers, fc.string(), rules, (bytes, given, subject, someRules) => {
        const message = raw(bytes, { headers: given, subject });
        const decoded = decodeWith(someRules)(message);
        if ("undecodable" in decoded) {
          expect(decoded.undecodable.message).toBe(message);
          expect(decoded.undecodable.reason).toMatch(/^Cannot .*expected/s);
        } else {
          expect(JSON.parse(decoded.event.data)).toMatchObject({ companyId: decoded.event.companyId });
        }
      }),
    );
  });
});

describe("decode, readings of GPUs", () => {
  const row = {
    ...{ timestamp: "2026-01-31T12:00:00Z", metric_name: "DCGM_FI_DEV_GPU_UTIL", gpu_id: "3" },
    ...{ device: "nvidia3", uuid: "GPU-1", modelName: "H100", Hostname: "host-1", container: "", pod: "" },
    ...{ namespace: "", value: 97, labels_raw: 'job="dcgm"' },
  };
  const owned = { companyId: "acme", ...row };
  const readingOf = (decoded: Decoded) => {
    if ("undecodable" in decoded) throw new Error(decoded.undecodable.reason);
    return decoded.reading;
  };
  const random = decodeWith({}, "random");

  it("a row without a type is of type telemetry.gpu, its time the row's, and a reading", () => {
    const decoded = random(json(owned));
    expect(eventOf(decoded)).toMatchObject({
      ...{ type: "telemetry.gpu", companyId: "acme", time: "2026-01-31T12:00:00Z" },
      data: JSON.stringify(owned),
    });
    expect(readingOf(decoded)).toEqual({
      ...{ companyId: "acme", uuid: "GPU-1", metric_name: "DCGM_FI_DEV_GPU_UTIL", value: 97 },
      timeMs: Date.parse("2026-01-31T12:00:00Z"),
      labels: {
        ...{ gpu_id: "3", device: "nvidia3", modelName: "H100", Hostname: "host-1", container: "" },
        ...{ pod: "", namespace: "", labels_raw: 'job="dcgm"' },
      },
    });
  });

  it.each([
    ["with a type of its own", { ...owned, type: "gpu.sample" }, "gpu.sample"],
    ["with a type that can be none", { ...owned, type: "GPU sample" }, "message"],
    ["without a value", { ...owned, value: undefined }, "message"],
  ])("a row %s is no row of telemetry", (_, body, type) => {
    const decoded = random(json(body));
    expect(eventOf(decoded).type).toBe(type);
    expect(readingOf(decoded)).toBeUndefined();
  });

  it("a row on a subject is of the subject's type, and a rule for the type comes first", () => {
    expect(eventOf(random(json(owned, { subject: "gpus.a" }))).type).toBe("gpus.a");
    expect(readingOf(random(json(owned, { subject: "telemetry.gpu" })))).toBeDefined();
    const ruled = decodeWith({ type: [{ value: "sample" }] }, "random");
    expect(eventOf(ruled(json(owned))).type).toBe("sample");
  });

  it("the same row twice is the same event, whatever the source's last resort; other messages are two", () => {
    const [one, again, other] = [owned, owned, { ...owned, value: 98 }].map(
      (body) => eventOf(random(json(body))).id,
    );
    expect(again).toBe(one);
    expect(other).not.toBe(one);
    const message = json({ companyId: "acme" });
    expect(eventOf(random(message)).id).not.toBe(eventOf(random(message)).id);
    const ruled = decodeWith({ id: ["random"] }, "content");
    expect(eventOf(ruled(json(owned))).id).not.toBe(eventOf(ruled(json(owned))).id);
  });

  it("a CloudEvent of the type is a reading, its data the row", () => {
    const event = { ...cloudEvent, type: "telemetry.gpu", data: row };
    expect(readingOf(decode(json(event)))).toMatchObject({ companyId: "acme", uuid: "GPU-1", value: 97 });
    expect(readingOf(decode(json(cloudEvent)))).toBeUndefined();
  });

  it.each([
    ["no uuid", { uuid: undefined }, "uuid is missing, expected text of 1-128 characters"],
    ["an empty metric", { metric_name: "" }, 'metric_name is "", expected text'],
    [
      "a uuid with a control character",
      { uuid: "GPU\u0000" },
      "expected text of 1-128 characters, none of them",
    ],
    [
      "half a character in its metric",
      { metric_name: "\ud800" },
      "expected text of 1-128 characters, none of them",
    ],
    ["a long uuid", { uuid: "x".repeat(129) }, "expected text of 1-128 characters"],
    ["a time that is none", { timestamp: "2025-02-30 12:00" }, "timestamp is"],
    ["an object for its value", { value: {} }, 'value is "{}", expected a number'],
    ["nothing for its value", { value: null }, 'value is "null", expected a number'],
  ])("one with %s is undecodable, and says why", (_, wrong, reason) => {
    const decoded = decode(json({ ...owned, ...wrong }, { subject: "telemetry.gpu" }));
    expect(reasonOf(decoded)).toContain("Cannot store a reading: ");
    expect(reasonOf(decoded)).toContain(reason);
  });

  it.each([
    ["0.5", 0.5],
    ["-0", 0],
    ["1e3", 1000],
    ["12345678901234567890", "12345678901234567890"],
    ["1e999", "1e999"],
    ['"N/A"', "N/A"],
  ])("the value %s is kept as %o", (written, expected) => {
    const text = JSON.stringify({ ...owned, value: 0 }).replace('"value":0', `"value":${written}`);
    const value = readingOf(decode(raw(text)))!.value;
    expect(Object.is(value, expected)).toBe(true);
  });

  it("rowCompany: whose rows are that name no company, and nothing else", () => {
    const given = createDecode({
      ...{ source: "/framed-tcp/main", rules: {}, lastResortId: "random" },
      rowCompany: parseCompanyId("initech"),
    });
    expect(readingOf(given(json(row)))!.companyId).toBe("initech");
    expect(readingOf(given(json(owned)))!.companyId).toBe("acme");
    for (const message of [
      json({ n: 1 }),
      json({ ...row, type: "telemetry.gpu" }),
      json({ ...cloudEvent, companyid: undefined, type: "telemetry.gpu", data: row }),
    ]) {
      expect(reasonOf(given(message))).toContain("no company in the message");
    }
    expect(reasonOf(decode(json(row)))).toContain("no company in the message");
  });
});
