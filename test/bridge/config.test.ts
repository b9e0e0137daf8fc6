import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";
import type { BrokerSettings } from "../../bridge/config/kind.ts";
import { MillraceError } from "../../functions/core/errors.ts";

const none: BrokerSettings = {};
const both: BrokerSettings = { NATS_URL: "nats://n:4222", BROKER_ADDR: "b:9080" };

/** The problems of a file, one a line, without the heading. */
function problemsOf(yaml: string, settings = none): string[] {
  try {
    parseBridgeConfig(yaml, settings);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe("invalid-settings");
    const [heading, ...problems] = (error as MillraceError).message.split("\n  ");
    expect(heading).toBe("Cannot use bridge.yaml:");
    return problems;
  }
  throw new Error("the file was accepted");
}

describe("defaultBridgeConfig", () => {
  it("a source is on when its address is set", () => {
    expect(defaultBridgeConfig(none).sources).toEqual([]);
    expect(defaultBridgeConfig(both).sources).toMatchObject([
      {
        kind: "nats",
        name: "nats",
        enabled: true,
        url: "nats://n:4222",
        subjects: ["metrics.*", "journey.*", "q2q.*"],
      },
      {
        kind: "framed-tcp",
        name: "framed-tcp",
        enabled: true,
        address: "b:9080",
        prefetch: 1000,
        acks: false,
      },
    ]);
    expect(defaultBridgeConfig({ ...none, BROKER_ADDR: "b:1" }).sources).toHaveLength(1);
  });
});

describe("parseBridgeConfig", () => {
  it("the example is valid, and shows every default", () => {
    const yaml = readFileSync(new URL("../../infra/bridge.example.yaml", import.meta.url), "utf8");
    const { sources } = parseBridgeConfig(yaml, none);
    expect(sources.map(({ name, enabled }) => [name, enabled])).toEqual([
      ["nats", true],
      ["orders", false],
      ["framed-tcp", true],
      ["services", true],
      ["rabbitmq", true],
      ["audit.txn", false],
    ]);
    // What it says is the default is the default.
    const bare = parseBridgeConfig(
      `sources:
        - { name: nats, kind: nats, url: "nats://127.0.0.1:4222", queue: millrace }
        - { name: orders, kind: nats, jetstream: { stream: ORDERS, durable: millrace } }
        - { name: framed-tcp, kind: framed-tcp, address: "127.0.0.1:9080" }
        - { name: services, kind: redis-pubsub, url: "redis://127.0.0.1:6379" }
        - { name: rabbitmq, kind: rabbitmq, url: "amqp://127.0.0.1:5672" }
        - { name: audit.txn, kind: ibm-mq, queue: AUDIT.TXN, host: 127.0.0.1, channel: MILLRACE.BRIDGE, user: mrbridge }`,
      both,
    ).sources;
    const withoutRules = (source: object) => ({ ...source, rules: undefined, enabled: true });
    expect(withoutRules(sources[0]!)).toEqual(withoutRules(bare[0]!));
    expect(withoutRules(sources[1]!)).toEqual({
      ...withoutRules(bare[1]!),
      url: "nats://127.0.0.1:4222",
      subjects: ["orders.*.created"],
    });
    expect(withoutRules(sources[2]!)).toEqual(withoutRules(bare[2]!));
    expect(sources[3]).toEqual(bare[3]);
    expect(withoutRules(sources[4]!)).toEqual(withoutRules(bare[4]!));
    expect({ ...sources[5], enabled: true }).toEqual(bare[5]);
  });

  it("rules: one locator or a list of them", () => {
    const { sources } = parseBridgeConfig(
      `sources:
        - name: a
          kind: nats
          company: { header: x-tenant }
          type: [{ subjectToken: 2 }, { value: paid }]
          id: random
          time: { field: at.when }`,
      both,
    );
    expect(sources[0]!.rules).toEqual({
      company: [{ header: "x-tenant" }],
      type: [{ subjectToken: 2 }, { value: "paid" }],
      id: ["random"],
      time: [{ field: "at.when" }],
    });
    const { rules } = parseBridgeConfig(
      "sources: [{ name: a, kind: nats, id: [{ header: h }, content] }]",
      both,
    ).sources[0]!;
    expect(rules.id).toEqual([{ header: "h" }, "content"]);
  });

  it("a broker that the settings name and the file does not mention is read too, unless it is turned off", () => {
    const names = (yaml: string) =>
      parseBridgeConfig(yaml, both).sources.map(({ name, enabled }) => `${name} ${enabled}`);
    expect(names("sources: []")).toEqual(["nats true", "framed-tcp true"]);
    expect(names("sources: [{ name: mine, kind: nats }]")).toEqual(["mine true", "framed-tcp true"]);
    expect(names("sources: [{ name: off, kind: nats, enabled: false }]")).toEqual([
      "off false",
      "framed-tcp true",
    ]);
  });

  it("an address may be missing of a source that is off", () => {
    expect(
      parseBridgeConfig("sources: [{ name: a, kind: nats, enabled: false }]", none).sources[0]!.enabled,
    ).toBe(false);
  });

  it("names the file, and says what one that is empty lacks", () => {
    expect(() => parseBridgeConfig("", none, "etc/sources.yaml")).toThrow(
      "Cannot use etc/sources.yaml:\n  line 1: the file: expected sources: and a list of them",
    );
  });

  it("reports every problem at once, with line and path", () => {
    const yaml = `extra: 1
sources:
  - name: bad name
    kind: nats
    subjects: [metrics.*, metrics.calculated, "a..b"]
    colour: red
    company: { header: a, field: b }
    type: { value: Not A Type }
    id: sometimes
    time: { value: now }
  - name: tcp
    kind: framed-tcp
    prefetch: 0
    company:
      - { subjectToken: 1 }
  - name: tcp
    kind: nats
    url: http://u:hunter2@h
    queue: q
    jetstream:
      stream: A B
      ackWaitMs: soon
  - kind: rabbits
  - just text
`;
    const kindless = (problem: string) => problem.replace(/(expected a source of kind) .*/, "$1 …");
    expect(problemsOf(yaml).map(kindless).sort()).toEqual(
      [
        "line 1: extra: unknown, expected a key of this place",
        "line 3: sources[0].name: expected 1-64 characters of A-Z a-z 0-9 . _ -",
        "line 3: sources[0].url: missing, expected it here or in NATS_URL",
        "line 5: sources[0].subjects[1]: overlaps subjects[0], expected each message to match one of them",
        "line 5: sources[0].subjects[2]: expected a NATS subject such as metrics.*",
        "line 6: sources[0].colour: unknown, expected a key of this place",
        "line 7: sources[0].company: expected exactly one of header, field, subjectToken, value",
        "line 8: sources[0].type.value: expected 1-64 characters of a-z 0-9 . _ -",
        "line 9: sources[0].id: expected content, random, or exactly one of header, field, subjectToken",
        "line 10: sources[0].time.value: unknown, expected a key of this place",
        "line 10: sources[0].time: expected exactly one of header, field",
        "line 11: sources[1].address: missing, expected it here or in BROKER_ADDR",
        "line 13: sources[1].prefetch: expected a whole number from 1 to 10000",
        "line 15: sources[1].company[0].subjectToken: unknown, expected a key of this place",
        "line 15: sources[1].company[0]: expected exactly one of field, value",
        "line 16: sources[2].name: is that of sources[1] too, expected one of its own",
        "line 18: sources[2].url: expected a URL of nats://, tls://, ws:// or wss://",
        "line 19: sources[2].queue: is for core subscriptions, expected none with jetstream",
        "line 20: sources[2].jetstream.durable: expected the name of a consumer",
        "line 21: sources[2].jetstream.stream: expected the name of a stream",
        "line 22: sources[2].jetstream.ackWaitMs: expected a whole number from 1000 to 3600000",
        "line 23: sources[3].kind: expected a source of kind …",
        "line 24: sources[4]: expected a source of kind …",
      ].sort(),
    );
  });

  it.each([
    ["", "line 1: the file: expected"],
    ["- a", "line 1: the file: expected"],
    ["sources:", "line 1: sources: expected a list of sources"],
    ["sources: {}", "line 1: sources: expected a list of sources"],
    ["sources: [", "line 1, column 11: not YAML"],
    ["sources: *gone", "line 1: the file: not YAML (bad alias)"],
    ["a: 1\na: 2", "line 2, column 1: not YAML (duplicate key)"],
    ["sources: []\n---\nsources: []", "not YAML (multiple docs)"],
    ["sources: [{ kind: nats }]", "line 1: sources[0].name: expected 1-64 characters"],
    ["sources: [{ kind: nats, name: a, id: [] }]", "sources[0].id: expected at least one"],
    ["sources: [{ kind: nats, name: a, id: { value: x } }]", "sources[0].id: expected content, random"],
    ["sources: [{ kind: framed-tcp, name: a, address: 9080 }]", "sources[0].address: expected host:port"],
    [
      "sources: [{ kind: framed-tcp, name: a, address: 'b:1', acks: sometimes }]",
      "sources[0].acks: expected true or false",
    ],
    [
      "sources: [{ kind: framed-tcp, name: a, address: 'b:1', rowCompany: acme }]",
      "sources[0].rowCompany: unknown",
    ],
    ["sources: [{ kind: nats, name: a, enabled: yes please }]", "sources[0].enabled: expected true or false"],
    [
      "sources: [{ kind: nats, name: a, company: { value: 'a b' } }]",
      "sources[0].company.value: expected 1-64",
    ],
    [
      "sources: [{ kind: nats, name: a, company: { field: a..b } }]",
      "sources[0].company.field: expected names",
    ],
    [
      "sources: [{ kind: nats, name: a, company: acme }]",
      "sources[0].company: expected exactly one of header",
    ],
  ])("%j: %s", (yaml, problem) => {
    expect(problemsOf(yaml).join("\n")).toContain(problem);
  });

  it("never shows a value: it may be a credential", () => {
    const secret = "hunter2";
    for (const yaml of [
      `sources: [{ kind: nats, name: "a ${secret}", url: "http://u:${secret}@h" }]`,
      `sources: [{ kind: nats, name: a, url: "nats://u:${secret}@h`,
      `sources:\n  - kind: nats\n    nats://u:${secret}@h: 1`,
      `sources:\n  - kind: ${secret}\n    url: *${secret}`,
      `sources: !${secret}\n  - url: nats://u:${secret}@h\n   bad: 1`,
      `sources: [{ kind: nats, name: a, queue: "${secret} b", jetstream: "${secret}" }]`,
    ]) {
      expect(problemsOf(yaml).join("\n"), yaml).not.toContain(secret);
    }
  });

  it.each([
    ["a.*", "a.b", true],
    ["a.>", "a.b.c", true],
    [">", "a", true],
    ["*.b", "a.*", true],
    ["a.*.c", "a.b.>", true],
    ["a.*", "a.b.c", false],
    ["a.>", "a", false],
    ["a.b", "a.c", false],
    ["*.b", "a.c", false],
  ])("subjects %s and %s overlap: %s", (one, other, expected) => {
    const yaml = `sources: [{ kind: nats, name: a, subjects: ["${one}", "${other}"] }]`;
    if (expected) expect(problemsOf(yaml, both).join()).toContain("subjects[1]: overlaps subjects[0]");
    else expect(parseBridgeConfig(yaml, both).sources).toHaveLength(2);
  });
});
