/** `millrace dead-letters` on real letters: beside millrace up on the embedded store, and of a bridge on Redis. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { asText } from "../../bin/dead-letter-view.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { parseEvent } from "../../functions/core/event.ts";
import type { StoredDeadLetter } from "../../functions/ports/dead-letters.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { COMPILE_CACHE } from "../support/compile-cache.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { CLI, cli, FREE_PORTS, startCli, temporaryFolder } from "./cli.ts";

type Line = Readonly<Record<string, unknown>> & { readonly id: string };
const linesOf = (stdout: string): Line[] =>
  stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);

/** The `script` of util-linux gives a command a terminal. */
const TERMINAL = "script";
const hasTerminal = spawnSync(TERMINAL, ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux");

// Each command is a process of its own: on a busy machine that takes seconds.
const MANY_COMMANDS = { timeout: 90_000 };

describe("millrace dead-letters beside millrace up", MANY_COMMANDS, () => {
  it("lists, shows and replays; what is replayed reaches an open stream; exit codes say how it went", async () => {
    using folder = temporaryFolder();
    const env = { DATA_DIR: folder.path };
    await using up = startCli(["up"], { ...FREE_PORTS, ...env }, { cwd: folder.path });
    const url = await up.ready();
    const letters = async (...args: string[]) => {
      const { code, stdout, stderr } = await cli(["dead-letters", ...args], env, { cwd: folder.path });
      return { code, lines: linesOf(stdout), stderr };
    };
    const port = Number(/"tcpPort":(\d+)/.exec(up.stderr())?.[1]);
    const producer = await connectProducer({ host: "127.0.0.1", port });
    await producer.send(new TextEncoder().encode('{"tenant":"initech","n":1,"text":"größer"}'));
    await producer.send(Uint8Array.of(0xff, 0x00, 0x7f));
    await producer.send(new TextEncoder().encode('{"tenant":"initech","n":2}'));
    await producer.close();
    await waitFor("three letters", async () => {
      const text = await (await fetch(`${url}/metrics`)).text();
      // One a reason.
      const counts = text.matchAll(/dead_letters_total\{source="embedded".*\} (\d+)$/gm);
      return counts.reduce((sum, [, count]) => sum + Number(count), 0) === 3;
    });
    const { lines: listed } = await letters("list");
    expect(listed).toHaveLength(3);
    const [first, second, third] = listed.map(({ id }) => id) as [string, string, string];
    expect(listed[0]).toEqual({
      ...{ id: first, time: expect.any(String), source: "embedded", subject: "", bytes: 44 },
      reason: expect.stringContaining("no company in the message"),
    });
    expect((await letters("list", "--limit", "1", "--after", first)).lines).toEqual([listed[1]]);

    expect(await letters("show", first)).toMatchObject({
      code: 0,
      lines: [{ ...listed[0], headers: {}, body: '{"tenant":"initech","n":1,"text":"größer"}' }],
    });
    expect((await letters("show", second)).lines).toMatchObject([{ bodyHex: "ff007f" }]);

    // By the rules there are they stay.
    const kept = await letters("replay", "--all");
    expect(kept.code).toBe(1);
    expect(kept.lines.map(({ outcome }) => outcome)).toEqual(["kept", "kept", "kept"]);
    expect(kept.stderr).toContain('"kept":3');

    writeFileSync(
      join(folder.path, "bridge.yaml"),
      'sources: [{ name: embedded, kind: framed-tcp, enabled: false, address: "127.0.0.1:9", company: { field: tenant } }]',
    );
    const stream = await fetch(`${url}/stream/updates?companyId=initech`, {
      headers: { accept: "text/event-stream" },
    });
    expect(await letters("replay", first, first, third)).toMatchObject({
      code: 0,
      lines: [
        { id: first, outcome: "stored", companyId: "initech", type: "message" },
        { id: third, outcome: "stored", companyId: "initech" },
      ],
    });
    let text = "";
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('"n":2')) break;
    }
    expect(text).toContain('data: {"companyId":"initech","tenant":"initech","n":1,"text":"größer"}');

    expect((await letters()).lines).toEqual([listed[1]]);
    const gone = await letters("replay", first, second);
    expect(gone).toMatchObject({ code: 1, lines: [{ id: second, outcome: "kept" }] });
    expect(gone.stderr).toContain(`"id":"${first}"`);
    up.child.kill("SIGTERM");
    expect(await up.ended).toBe(0);
  });
});

describe("millrace dead-letters of a bridge on Redis", MANY_COMMANDS, () => {
  it("replays what came over JetStream as the event it would have been", async (context) => {
    const reason = missing("redis-server") ?? missing("nats-server");
    if (reason) context.skip(reason);
    using folder = temporaryFolder();
    await using redis = await startRedis();
    await using nats = await startNats();
    const connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "ORDERS", subjects: ["orders.>"] });
    const config = join(folder.path, "bridge.yaml");
    const source = { name: "orders", kind: "nats", jetstream: { stream: "ORDERS", durable: "millrace" } };
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ sources: [source] }));
    const env = { ...FREE_PORTS, REDIS_URL: redis.url, NATS_URL: nats.url };
    await using bridge = startCli(["bridge", "--config", config], env);
    const js = jetstream(connection);
    for (let n = 0; n < 120; n++) {
      await js.publish("orders.paid", JSON.stringify({ tenant: n % 2 ? "acme" : "globex", n }), {
        msgID: `o-${n}`,
      });
    }
    await connection.close();
    const letters = async (...args: string[]) => {
      const { code, stdout } = await cli(["dead-letters", ...args], env);
      return { code, lines: linesOf(stdout) };
    };
    const url = await waitFor("its probes", () => /"url":"([^"]+)"/.exec(bridge.stderr())?.[1]);
    await waitFor("the letters", async () =>
      /dead_letters_total\{source="orders".*\} 120$/m.test(await (await fetch(`${url}/metrics`)).text()),
    );
    const { lines } = await letters("list");
    expect(lines).toHaveLength(50);
    expect(lines[49]).toMatchObject({ source: "orders", subject: "orders.paid", messageId: "o-49" });

    writeFileSync(config, JSON.stringify({ sources: [{ ...source, company: { field: "tenant" } }] }));
    const dry = await letters("replay", lines[7]!.id, "--dry-run", "--config", config);
    expect(dry).toMatchObject({
      code: 0,
      lines: [{ outcome: "decodable", companyId: "acme", eventId: "o-7" }],
    });
    expect((await letters("list", "--source", "other")).lines).toEqual([]);
    expect((await letters("replay", "--all", "--source", "other", "--config", config)).lines).toEqual([]);
    const [one, all] = await Promise.all([
      letters("replay", lines[7]!.id, "--config", config),
      letters("replay", "--all", "--source", "orders", "--config", config),
    ]);
    // Both may have taken that one, or the first may have come too late: it is stored once.
    expect(all.code).toBe(0);
    const stored = [...one.lines, ...all.lines].filter(({ outcome }) => outcome === "stored");
    expect(stored.map(({ eventId }) => eventId).sort()).toEqual(
      Array.from({ length: 120 }, (_, n) => `o-${n}`).sort(),
    );
    expect(await letters()).toEqual({ code: 0, lines: [] });
    expect(await letters("show", lines[7]!.id)).toEqual({ code: 1, lines: [] });
  });

  it("fails with 1 when Redis is away", async () => {
    const REDIS_URL = `redis://:hunter2@127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await cli(["dead-letters"], { REDIS_URL });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain('"code":"unavailable"');
    expect(stderr).not.toContain("hunter2");
  });
});

describe("millrace dead-letters", () => {
  it("where no store is refuses with 2, and makes none", async () => {
    using folder = temporaryFolder();
    const { code, stderr } = await cli(["dead-letters"], {}, { cwd: folder.path });
    expect(code).toBe(2);
    expect(stderr).toContain('no store in DATA_DIR ".millrace"');
    expect(existsSync(join(folder.path, ".millrace"))).toBe(false);
  });

  it.skipIf(!hasTerminal)(
    "list on a terminal says that there are none; in a pipe it prints nothing",
    async () => {
      using folder = temporaryFolder();
      openSqliteDatabase({ folder: folder.path, logger: silent })[Symbol.dispose]();
      const env = { DATA_DIR: folder.path };
      const command = `'${process.execPath}' '${CLI}' dead-letters list`;
      const run = promisify(execFile);
      const { stdout } = await run(TERMINAL, ["-qec", command, "/dev/null"], {
        env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...env },
      });
      expect(stdout).toBe("No dead letters.\r\n");
      expect(await cli(["dead-letters"], env)).toMatchObject({ code: 0, stdout: "" });
    },
  );

  it.each([
    [["replay"], "expected the ids of letters, or --all"],
    [["replay", "1", "--all"], "expected the ids of letters, or --all"],
    [["replay", "1", "--source", "x"], "expected it with --all"],
    [["show"], "missing required argument 'id'"],
    [["list", "--limit", "0"], "Expected a whole number"],
    [["remove"], "--help"],
  ])("%j is bad usage: 2", async (args, expected) => {
    const { code, stdout, stderr } = await cli(["dead-letters", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(expected);
  });

  it("an id that no letter can have is bad usage: 2", async () => {
    using folder = temporaryFolder();
    const env = { DATA_DIR: folder.path };
    await using serve = startCli(["serve"], { ...FREE_PORTS, ...env, JWKS_URL: "http://127.0.0.1:1/" });
    await serve.ready();
    for (const args of [
      ["show", "x"],
      ["replay", "x"],
      ["list", "--after", "x"],
    ]) {
      const { code, stderr } = await cli(["dead-letters", ...args], env);
      expect(code).toBe(2);
      expect(stderr).toContain('Cannot read dead letter id "x"');
    }
  });
});

describe("asText", () => {
  const letter: StoredDeadLetter = {
    ...{ id: "7", time: "2026-01-31T12:00:00Z", source: "orders", subject: "a.\u001b[2J\nb" },
    ...{ headers: { "x-title": "\u202eevil" }, messageId: "m-1", randomId: "r", reason: 'bad "\u009b"' },
    bodyBase64: Buffer.from("line 1\nline\t2\r\u001b[31m größer 🚂").toString("base64"),
  };

  it("shows a letter on a terminal, and nothing that the terminal would act on", () => {
    const shown = [
      asText.shown(letter),
      asText.listed(letter),
      asText.replayed({ letter, outcome: "kept", reason: "\u001b[1mx" }),
    ];
    // Line breaks are those of the lines themselves, and of the body.
    for (const text of shown) expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(shown[0]!.split("\n")).toEqual([
      "id        7",
      "time      2026-01-31T12:00:00Z",
      "source    orders",
      "subject   a.\\u001b[2J\\u000ab",
      "messageId m-1",
      "bytes     33",
      'reason    bad "\\u009b"',
      "header    x-title: \\u202eevil",
      "body:",
      "line 1",
      "line\t2\\u000d\\u001b[31m größer 🚂",
    ]);
    expect(shown[1]).toBe(
      '7  2026-01-31T12:00:00Z  orders  a.\\u001b[2J\\u000ab  33 bytes\n    bad "\\u009b"',
    );
  });

  it("a body that is not UTF-8 is shown in hex", () => {
    const bodyBase64 = Buffer.of(0xff, 0x0a).toString("base64");
    expect(asText.shown({ ...letter, bodyBase64 })).toMatch(/body, not UTF-8, in hex:\nff0a$/);
  });

  it("says where a replayed one went", () => {
    const event = parseEvent({ companyId: "acme", source: "/s", id: "e-1", type: "t", dataText: "{}" });
    expect(asText.replayed({ letter, outcome: "stored", event })).toBe(
      "stored     7  orders  ->  acme  t  e-1",
    );
  });
});
