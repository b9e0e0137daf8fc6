/** How bridge.yaml and the settings say who a NATS source is. */
import { describe, expect, it } from "vitest";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";
import type { BrokerSettings } from "../../bridge/config/kind.ts";
import { readSettings } from "../../functions/core/settings.ts";

const settings: BrokerSettings = { NATS_URL: "nats://n:4222", NATS_CREDS: "/s/creds", NATS_TLS_CA: "/s/ca" };
const parse = (source: string, given = settings) =>
  parseBridgeConfig(`sources: [{ name: a, kind: nats, ${source} }]`, given).sources[0]!;

describe("kind: nats, who it is", () => {
  it("the settings' files are for the settings' server", () => {
    expect(defaultBridgeConfig(settings).sources[0]).toMatchObject({
      url: "nats://n:4222",
      credentials: "/s/creds",
      nkey: undefined,
      tls: { ca: "/s/ca" },
    });
    expect(defaultBridgeConfig({ NATS_URL: "nats://n", NATS_NKEY: "/s/nk" }).sources[0]).toMatchObject({
      credentials: undefined,
      nkey: "/s/nk",
      tls: undefined,
    });
    expect(parse("url: 'nats://other'")).toMatchObject({ credentials: undefined, tls: undefined });
  });

  it("what bridge.yaml says wins", () => {
    expect(parse("nkey: /y/nk, tls: { cert: /y/c, key: /y/k }")).toMatchObject({
      url: "nats://n:4222",
      credentials: undefined,
      nkey: "/y/nk",
      tls: { cert: "/y/c", key: "/y/k" },
    });
  });

  it.each([
    ["credentials: /a, nkey: /b", "nkey: is given beside credentials, expected one of them"],
    ["tls: { cert: /a }", "tls: has one of cert and key, expected both or neither"],
    ["tls: { caFile: /a }", "tls.caFile: unknown"],
    ["credentials: 7", "credentials: expected the path of a file"],
    ["url: 'nats://u:p@h', nkey: /a", "url: names a user beside credentials or nkey"],
    ["url: 'wss://h', tls: { ca: /a }", "tls: is for nats:// and tls://"],
  ])("%s: %s", (source, problem) => {
    expect(() => parse(source)).toThrow(problem);
  });

  it("two ways to log in are refused in the settings too", () => {
    const env = { NATS_URL: "nats://u:hunter2@n", NATS_CREDS: "/a", NATS_NKEY: "/b" };
    expect(() => readSettings(env)).toThrow(
      "NATS_URL (its user), NATS_CREDS, NATS_NKEY: expected one of them",
    );
    expect(() => readSettings(env)).not.toThrow("hunter2");
    expect(() => readSettings({ NATS_URL: "ws://n", NATS_TLS_CA: "/a" })).toThrow(
      "NATS_TLS_CA: is for nats://",
    );
  });
});
