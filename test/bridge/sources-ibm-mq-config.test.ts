import { describe, expect, it } from "vitest";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";
import { createDecode } from "../../bridge/decode.ts";
import { type MqContext, mqError } from "../../bridge/ibm-mq/errors.ts";
import { toMessage } from "../../bridge/ibm-mq/getter.ts";

const SETTINGS = { MQ_HOST: "mq.example.com", MQ_PORT: 1415, MQ_QMGR: "QM2", MQ_PASSWORD: "s3cret" };
const parse = (source: string, settings: Parameters<typeof parseBridgeConfig>[1] = SETTINGS) =>
  parseBridgeConfig(`sources: [{ name: a, kind: ibm-mq, queue: Q, ${source} }]`, settings).sources[0]!;

describe("kind: ibm-mq", () => {
  it.each([{ MQ_HOST: "h" }, { MQ_CCDT: "/ccdt.json" }])(
    "is on for the three stream queues with %j",
    (settings) => {
      const { sources } = defaultBridgeConfig(settings);
      expect(sources.map((source) => [source.kind, source.name, "queue" in source && source.queue])).toEqual([
        ["ibm-mq", "audit.txn", "AUDIT.TXN"],
        ["ibm-mq", "promo.feed", "PROMO.FEED"],
        ["ibm-mq", "central.sync", "CENTRAL.SYNC"],
      ]);
    },
  );

  it("is off without a host and a CCDT", () => {
    expect(defaultBridgeConfig({ MQ_PORT: 1414, MQ_PASSWORD: "x" }).sources).toEqual([]);
  });

  it("the settings say what the file does not", () => {
    expect(parse("batchMessages: 50")).toEqual({
      ...{ name: "a", kind: "ibm-mq", enabled: true, queue: "Q", batchMessages: 50 },
      ...{ host: "mq.example.com", port: 1415, queueManager: "QM2", channel: "DEV.APP.SVRCONN", user: "app" },
      ...{ password: "s3cret", passwordFile: undefined, ccdt: undefined },
      ...{ tlsCipher: undefined, tlsKeyRepository: undefined, tlsKeyPassword: undefined },
      rules: {
        ...{ company: undefined, type: undefined, id: undefined },
        time: [{ field: "ts" }, { field: "time" }, { field: "timestamp" }, { header: "mq-put-time" }],
      },
    });
    expect(parse("host: other, channel: C, user: u, time: { field: at }")).toMatchObject({
      ...{ host: "other", channel: "C", user: "u", rules: { time: [{ field: "at" }] } },
    });
  });

  it("of the two ways to a queue manager the file's stands alone", () => {
    expect(parse("ccdt: /c.json")).toMatchObject({ host: undefined, ccdt: "/c.json" });
    const both = { ...SETTINGS, MQ_CCDT: "/s.json" };
    expect(parse("host: h", both)).toMatchObject({ host: "h", ccdt: undefined });
  });

  it.each([
    ["password: x", "password: unknown"],
    ["queueManager: 'A B'", "queueManager: expected 1-48 characters"],
    ["batchMessages: 49", "batchMessages: expected a whole number from 50 to 500"],
    ["batchMessages: 501", "batchMessages: expected a whole number from 50 to 500"],
    ["host: '::1'", "host: expected a host name or an IPv4 address"],
    ["host: h, ccdt: /c", "ccdt: is another way to the queue manager than host"],
    [
      "tlsCipher: ANY_TLS12_OR_HIGHER",
      "tlsKeyRepository: missing, expected it here or in MQ_TLS_KEY_REPOSITORY",
    ],
  ])("%s is refused", (source, expected) => {
    expect(() => parse(source)).toThrow(expected);
  });

  it("says that nobody names a queue manager, unless it is off", () => {
    expect(() => parse("enabled: true", {})).toThrow(
      "host: missing, expected it (or ccdt) here or in MQ_HOST",
    );
    expect(parse("enabled: false", {}).enabled).toBe(false);
  });
});

describe("createDecode, binary: preview", () => {
  const options = { source: "/s", rules: {}, lastResortId: "content" } as const;
  const decode = createDecode({ ...options, binary: "preview" });
  const message = (body: string | Uint8Array, headers: Record<string, string> = {}) => ({
    ...{ subject: "q", headers, messageId: undefined },
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  });

  it("JSON is what it is without it", () => {
    for (const body of [
      '{"companyId":"acme","n":1}',
      '{"n":1}',
      "17",
      '{"companyId":"acme","companyId":"b"}',
    ]) {
      const given = { ...message(body), messageId: "1" };
      const time = (decoded: object) =>
        JSON.parse(JSON.stringify(decoded).replace(/"time":"[^"]*"/, '"time":""'));
      expect(time(decode(given))).toEqual(time(createDecode(options)(given)));
    }
  });

  it("JSON that is too large, or a CloudEvent with a fault, is no preview", () => {
    const large = message(JSON.stringify({ companyId: "acme", x: "x".repeat(140_000) }));
    const faulty = message('{"specversion":"1.0","data":{"companyId":"acme"}}', { companyid: "acme" });
    for (const given of [large, faulty]) expect(decode(given)).toHaveProperty("undecodable");
  });

  it("bodies that begin alike have ids of their own", () => {
    const body = (last: number) =>
      message(
        Uint8Array.from({ length: 500 }, (_, i) => (i < 499 ? 255 : last)),
        { companyid: "a" },
      );
    const idOf = (last: number) => (decode(body(last)) as { event: { id: string } }).event.id;
    expect(idOf(1)).toBe(idOf(1));
    expect(idOf(1)).not.toBe(idOf(2));
  });
});

describe("toMessage", () => {
  const got = (offset: number) => {
    const md = {
      MsgId: Buffer.alloc(24, 0xab),
      Offset: offset,
      Format: "MQSTR",
      CodedCharSetId: 1208,
      PutDate: "",
      PutTime: "",
    };
    return toMessage({ md, body: Buffer.from("{}") } as never, {}, undefined);
  };

  it("the id is the MsgId in hex, which segments of a message share: they have their offset too", () => {
    expect(got(0).id).toBe("ab".repeat(24));
    expect(got(4096).id).toBe(`${"ab".repeat(24)}.4096`);
  });
});

describe("mqError", () => {
  const context: MqContext = {
    ...{ host: "h", port: 1414, ccdt: undefined, channel: "C", queueManager: "QM1", user: "app" },
    ...{ hasPassword: true, queue: "Q", rights: "GET,INQ" },
  };
  const of = (verb: string, reason: number, name = "MQRC_X") =>
    mqError({ kind: "mqi", verb, reason, name }, context);

  it.each([
    ["GET", 2009, "unavailable"],
    ["CMIT", 2003, "unavailable"],
    ["GET", 2161, "unavailable"],
    ["GET", 2016, "unavailable"],
    ["CONNX", 2059, "unavailable"],
    ["CONNX", 2538, "unavailable"],
    ["CONNX", 2537, "unavailable"],
    ["CONNX", 2058, "invalid-settings"],
    ["CONNX", 2393, "invalid-settings"],
    ["CONNX", 2397, "invalid-settings"],
    ["OPEN", 2085, "invalid-settings"],
    ["GET", 2218, "invalid-settings"],
    ["CONNX", 2035, "unauthorized"],
    ["OPEN", 2035, "forbidden"],
    ["GET", 2999, "unavailable"],
  ])("%s %i is %s and follows the grammar", (verb, reason, code) => {
    const error = of(verb, reason);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^Cannot .+: ${reason} MQRC_X, expected .+`));
  });

  it("a package that is not installed: how to install it", () => {
    const error = mqError({ kind: "missing", what: "package", detail: "not found" }, context);
    expect([error.code, error.message]).toEqual([
      "invalid-settings",
      expect.stringContaining("MQIJS_NOREDIST=1 npm ci"),
    ]);
  });

  it("with a CCDT there is no host to speak of", () => {
    const error = mqError(
      { kind: "mqi", verb: "CONNX", reason: 2538, name: "X" },
      { ...context, host: undefined, ccdt: "/c.json" },
    );
    expect(error.message).toContain("/c.json");
    expect(error.message).not.toContain("undefined");
  });
});
