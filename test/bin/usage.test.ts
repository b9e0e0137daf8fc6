/** What every command has in common: help, exit codes, and every problem at once. */
import { describe, expect, it } from "vitest";
import { settingsTable } from "../../functions/core/settings.ts";
import { cli } from "./cli.ts";

const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  up: ["PORT", "TCP_PORT", "DATA_DIR", "REDIS_URL", "NATS_URL", "AUTH_MODE", "LOG_LEVEL"],
  serve: ["PORT", "HOST", "REDIS_URL", "JWT_SECRET", "HEARTBEAT_MS"],
  bridge: ["REDIS_URL", "DATA_DIR", "HOST", "BRIDGE_PORT", "NATS_URL", "AMQP_URL", "BROKER_ADDR", "MQ_HOST"],
  broker: ["TCP_PORT", "DELIVERY_MODE", "MAX_CONSUMERS"],
  produce: ["MQ_HOST", "AMQP_URL", "NATS_URL", "NATS_CREDS", "REDIS_URL", "BROKER_ADDR", "CSV_PATH"],
  "redis-rest": [
    ...[
      "REDIS_URL",
      "HOST",
      "REDIS_REST_PORT",
      "UPSTASH_REDIS_REST_TOKEN",
      "UPSTASH_REDIS_REST_READONLY_TOKEN",
    ],
  ],
  token: ["JWT_SECRET", "JWT_ISSUER"],
  check: settingsTable().map(({ name }) => name),
  doctor: ["REDIS_URL", "NATS_URL", "AMQP_URL", "MQ_HOST", "JWKS_URL"],
  "dead-letters": ["REDIS_URL", "DATA_DIR", "NATS_URL"],
  conformance: [],
};
const COMMANDS = Object.keys(SETTINGS);

describe("millrace", () => {
  it("--help names every command and exits with 0", async () => {
    const { code, stdout } = await cli(["--help"]);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
  });

  it("--version prints it and exits with 0", async () => {
    expect(await cli(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it.each([[[]], [["nonsense"]], [["--nonsense"]]])(
    "%j is bad usage: 2, and says where help is",
    async (args) => {
      const { code, stdout, stderr } = await cli(args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("--help");
    },
  );
});

describe.each(COMMANDS)("millrace %s", (command) => {
  it("--help lists its options and the settings it reads, and exits with 0", async () => {
    const { code, stdout, stderr } = await cli([command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: millrace ${command}`);
    for (const name of SETTINGS[command]!) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
  });

  it("an unknown option is bad usage: 2", async () => {
    const { code, stderr } = await cli([command, "--nonsense"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--nonsense");
  });
});

describe.each(COMMANDS.filter((command) => command !== "conformance"))("millrace %s", (command) => {
  it("refuses wrong settings with 2, naming every one and no value", async () => {
    const { code, stdout, stderr } = await cli([command], {
      PORT: "hunter2",
      NATS_URL: "amqp://hunter2",
      LOG_LEVEL: "hunter2",
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    for (const name of ["PORT", "NATS_URL", "LOG_LEVEL"]) expect(stderr).toContain(`  ${name}: expected`);
    expect(stderr).not.toContain("hunter2");
  });
});
