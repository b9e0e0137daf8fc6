import { describe, expect, it } from "vitest";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";

const REDIS_URL = "redis://r:6379";
const parse = (source: string) =>
  parseBridgeConfig(`sources: [{ name: a, kind: redis-pubsub, ${source} }]`, { REDIS_URL }).sources[0]!;

describe("kind: redis-pubsub", () => {
  it("is on when REDIS_URL is set, for the services' channels", () => {
    expect(defaultBridgeConfig({ REDIS_URL }).sources).toEqual([
      {
        kind: "redis-pubsub",
        name: "redis-pubsub",
        enabled: true,
        url: REDIS_URL,
        channels: ["service:all", "logs:all"],
        maxPending: 50_000,
        maxLinesPerSecond: 100,
        rules: {},
      },
    ]);
  });

  it("says what a limit of lines may be", () => {
    expect(parse("maxLinesPerSecond: 5")).toMatchObject({ maxLinesPerSecond: 5 });
    expect(() => parse("maxLinesPerSecond: 0")).toThrow("expected a whole number from 1 to 1000000");
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
