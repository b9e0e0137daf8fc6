import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import { type Environment, isLoopback, readSettings, settingsTable } from "../../functions/core/settings.ts";

function problemsOf(env: Environment): string {
  try {
    readSettings(env);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe("invalid-settings");
    return (error as MillraceError).message;
  }
  throw new Error("expected a refusal");
}

describe("readSettings", () => {
  it("has the contract's defaults", () => {
    expect(readSettings({})).toMatchObject({
      PORT: 8787,
      HOST: "127.0.0.1",
      STREAMING_ENABLED: true,
      DATA_DIR: ".millrace",
      DELIVERY_MODE: "broadcast",
      TCP_PORT: 9080,
      HTTP_PORT: 8080,
      MAX_CONSUMERS: 10,
      CONSUMER_CHANNEL_BUFFER_SIZE: 10_000,
      HEARTBEAT_MS: 15_000,
      MAX_CONNECTION_AGE_MS: 0,
      IDLE_TIMEOUT_MS: 900_000,
      REPLAY_RETENTION_MS: 86_400_000,
      CONNECTION_BUFFER_EVENTS: 100,
      MAX_CONNECTIONS_PER_COMPANY: 10_000,
      CORS_ORIGINS: [],
      TODAY_TIMEZONE: "Asia/Karachi",
      LOG_LEVEL: "info",
    });
    expect(readSettings({}).REDIS_URL).toBeUndefined();
  });

  it("takes an empty variable for an unset one and ignores the rest of the environment", () => {
    expect(readSettings({ PORT: "", PATH: "/bin", REDIS_URL: "" })).toEqual(readSettings({}));
  });

  it("reads what is set", () => {
    expect(
      readSettings({
        PORT: "0",
        STREAMING_ENABLED: "false",
        REDIS_URL: "rediss://user:pw@db.example:6380/1",
        BROKER_ADDR: "[::1]:9080",
        CORS_ORIGINS: "https://a.example, http://localhost:3000",
        TODAY_TIMEZONE: "America/New_York",
      }),
    ).toMatchObject({
      PORT: 0,
      STREAMING_ENABLED: false,
      REDIS_URL: "rediss://user:pw@db.example:6380/1",
      BROKER_ADDR: "[::1]:9080",
      CORS_ORIGINS: ["https://a.example", "http://localhost:3000"],
      TODAY_TIMEZONE: "America/New_York",
    });
  });

  it("reports every problem at once, each by its variable", () => {
    const message = problemsOf({
      PORT: "70000",
      STREAMING_ENABLED: "yes",
      REDIS_URL: "http://x",
      TODAY_TIMEZONE: "Mars/Olympus",
      CORS_ORIGINS: "*",
      HEARTBEAT_MS: "1e3",
      BROKER_ADDR: "nowhere",
    });
    expect(message).toMatch(/^Cannot use the settings:\n/);
    const names = [
      "PORT",
      "STREAMING_ENABLED",
      "REDIS_URL",
      "TODAY_TIMEZONE",
      "CORS_ORIGINS",
      "HEARTBEAT_MS",
      "BROKER_ADDR",
    ];
    for (const name of names) expect(message).toMatch(new RegExp(`^ {2}${name}: expected`, "m"));
    expect(message.split("\n")).toHaveLength(1 + names.length);
  });

  it("shows no value, as it may be a secret", () => {
    const message = problemsOf({
      JWT_SECRET: "hunter2",
      REDIS_URL: "amqp://u:hunter2@x",
      JWKS_URL: "hunter2",
    });
    expect(message).not.toContain("hunter2");
  });

  it.each(["-1", "1.5", "0x10", "８", " 1", "99999999999999999999"])("refuses %j as a number", (PORT) => {
    expect(problemsOf({ PORT })).toContain("PORT: expected a whole number from 0 to 65535");
  });

  it.each(["https://a.example/", "https://a.example/path", "a.example", "null"])(
    "refuses %j as an origin",
    (CORS_ORIGINS) => {
      expect(problemsOf({ CORS_ORIGINS })).toContain("CORS_ORIGINS: expected exact origins");
    },
  );

  it("refuses no authentication on a public host", () => {
    expect(problemsOf({ AUTH_MODE: "none", HOST: "0.0.0.0" })).toContain(
      "AUTH_MODE: none on the public host 0.0.0.0",
    );
    expect(readSettings({ AUTH_MODE: "none" }).AUTH_MODE).toBe("none");
  });

  it("refuses two kinds of keys at once", () => {
    const both = { JWT_SECRET: "s".repeat(32), JWKS_URL: "https://a.example/jwks" };
    expect(problemsOf(both)).toContain("JWT_SECRET, JWKS_URL: expected one of them");
  });
});

describe("isLoopback", () => {
  it.each(["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])("is true for %s", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", ""])(
    "is false for %j",
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});

describe("settingsTable", () => {
  it("is the table of the README", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const rows = settingsTable().map(
      ({ name, fallback, meaning }) => `| \`${name}\` | ${fallback} | ${meaning} |`,
    );
    const section = readme.slice(readme.indexOf("\n## Settings\n"));
    expect(section.match(/^\| `.*$/gm)?.slice(0, rows.length)).toEqual(rows);
  });

  it("has a meaning for every setting", () => {
    const rows = settingsTable();
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(["PORT", "REDIS_URL", "LOG_LEVEL"]));
    for (const { name, meaning } of rows) expect(`${name}: ${meaning}`).toMatch(/: .+/);
    expect(rows.find(({ name }) => name === "PORT")?.fallback).toBe("8787");
    expect(rows.find(({ name }) => name === "REDIS_URL")?.fallback).toBe("-");
  });
});
