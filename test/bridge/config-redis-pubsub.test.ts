import { describe, expect, it } from "vitest";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";
import { OPERATIONS_COMPANY } from "../../functions/core/ids.ts";

const REDIS_URL = "redis://r:6379";
const parse = (source: string) =>
  parseBridgeConfig(`sources: [{ name: a, kind: redis-pubsub, ${source} }]`, { REDIS_URL }).sources[0]!;

describe("kind: redis-pubsub", () => {
  it("is on when REDIS_URL is set, for the services' channels and the operator's company", () => {
    expect(defaultBridgeConfig({ REDIS_URL }).sources).toEqual([
      {
        kind: "redis-pubsub",
        name: "redis-pubsub",
        enabled: true,
        url: REDIS_URL,
        channels: ["service:all", "logs:all"],
        maxPending: 50_000,
        rules: { company: [{ value: OPERATIONS_COMPANY }], type: undefined, id: undefined, time: undefined },
      },
    ]);
  });

  it("a rule for the company replaces the operator's", () => {
    expect(parse("company: { field: tenant }").rules.company).toEqual([{ field: "tenant" }]);
    expect(parse("channels: 'a:*'").rules.company).toEqual([{ value: OPERATIONS_COMPANY }]);
  });

  it("says what is missing", () => {
    const given = "sources: [{ name: a, kind: redis-pubsub, enabled: true }]";
    expect(() => parseBridgeConfig(given, {})).toThrow("url: missing, expected it here or in REDIS_URL");
  });

  it.each([
    ["logs:*", "logs:all", true],
    ["logs:all", "logs:*", true],
    ["*", "a", true],
    ["a*c", "*b*", true],
    ["a*", "*a", true],
    ["logs:*", "logs:", true],
    ["a**b", "ab", true],
    ["logs:all", "logs:al", false],
    ["logs:*", "service:*", false],
    ["a*c", "a*d", false],
    ["a:*:all", "a:logs:*-sync", false],
  ])("channels %j and %j overlap: %s", (one, other, expected) => {
    const run = () => parse(`channels: ["${one}", "${other}"]`);
    if (expected)
      expect(run).toThrow("channels[1]: overlaps channels[0], expected each message to match one");
    else expect(run()).toMatchObject({ channels: [one, other] });
  });

  it.each(["*", "mill*", "millrace:{acme}:wake", "*:wake"])(
    "channel %j would read what the log itself publishes, and is refused",
    (channel) => {
      expect(() => parse(`channels: "${channel}"`)).toThrow(
        "overlaps millrace:*, which is the event log's own",
      );
    },
  );
});
