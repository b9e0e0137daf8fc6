/** What `millrace doctor` makes of what it finds, and how it shows it. What it finds on real servers is in tools.test.ts. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { exportJWK, generateKeyPair } from "jose";
import { describe, expect, it } from "vitest";
import { isGuessable, judgeKeys, tokens } from "../../bin/doctor/access.ts";
import { judgeBridges } from "../../bin/doctor/contents.ts";
import { layout } from "../../bin/doctor/layout.ts";
import { machineProbes, node, openFiles } from "../../bin/doctor/machine.ts";
import type { PipelineSource } from "../../functions/core/pipeline.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";
import { cli, FREE_PORTS, temporaryFolder } from "./cli.ts";

describe("layout", () => {
  const finding = (level: "ok" | "note" | "FAIL", what: string, text: string) => ({ level, what, text });
  const areas = [
    {
      name: "store",
      findings: [
        finding("ok", "Redis redis://u:hunter2@h:6379", "answers"),
        finding("note", "Redis redis://u:hunter2@h:6379", "appendonly is off"),
      ],
    },
    {
      name: "sources",
      findings: [
        finding("FAIL", "source a (nats nats://h)", "refused. Next: start it"),
        finding("FAIL", "source b (nats nats://h)", "refused. Next: start it"),
        finding("ok", "source nats (nats nats://h)", `answers ${"with many words ".repeat(8)}`.trim()),
      ],
    },
    {
      name: "server http://h",
      findings: [finding("ok", "http://h/ready", "answers"), finding("ok", "http://h (cache)", "not cached")],
    },
    { name: "nothing", findings: [] },
  ];

  it("is a line a finding where a program reads it, what fails alike once, and a sum", () => {
    expect(layout(areas, undefined)).toEqual([
      "ok    Redis redis://***@h:6379: answers",
      "note  Redis redis://***@h:6379: appendonly is off",
      "FAIL  source a (nats nats://h), source b (nats nats://h): refused. Next: start it",
      `ok    source nats (nats nats://h): answers ${"with many words ".repeat(8)}`.trim(),
      "ok    http://h/ready: answers",
      "ok    http://h (cache): not cached",
      "4 ok, 1 note, 1 failure",
    ]);
  });

  it("is in columns on a terminal, in lines of at most 100 characters or as wide as that is", () => {
    expect(layout(areas, 240)).toEqual([
      "store",
      "  ok    Redis ***@h:6379    answers",
      "  note                      appendonly is off",
      "sources",
      "  FAIL  a nats h, b nats h  refused.",
      "                            Next: start it",
      "  ok    nats h              answers with many words with many words with many words with many words",
      "                            with many words with many words with many words with many words",
      "server http://h",
      "  ok    /ready              answers",
      "  ok    cache               not cached",
      "4 ok, 1 note, 1 failure",
    ]);
    for (const line of layout(areas, 60)) expect(line.length).toBeLessThanOrEqual(60);
  });
});

describe("doctor on this machine", () => {
  it("says which Node.js is too old, and how many clients the limit of open files is for", () => {
    expect(node("26.1.0", "Asia/Karachi")).toMatch(/^26\.1\.0; .* Asia\/Karachi \(now \d\d:\d\d\)$/);
    expect(node("22.17.1", "UTC")).toMatchObject({ fault: "22.17.1, expected 22.18 or newer" });
    expect(openFiles(65_536, 10_000)).toBe("65,536 at most");
    expect(openFiles(undefined, 10_000)).toMatch(/no limit/);
    expect(openFiles(1_024, 10_000)).toMatchObject({
      note: expect.stringMatching(/^at most 1,024 .* 10,000 clients .*ulimit -n/),
    });
  });

  it("names the ports that another program has, and an address that is not there", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const settings = {
      HOST: "127.0.0.1",
      PORT: 0,
      TCP_PORT: port,
      HTTP_PORT: 0,
      MAX_CONNECTIONS_PER_COMPANY: 1,
      TODAY_TIMEZONE: "UTC",
    };
    const ports = async (more: object = {}) =>
      machineProbes({ ...settings, ...more })
        .find(({ what }) => what === "ports")!
        .run(AbortSignal.timeout(5_000));
    try {
      expect(await ports()).toMatchObject({
        note: expect.stringContaining(`TCP_PORT ${port} of 127.0.0.1: taken by another program`),
      });
      expect(await ports({ TCP_PORT: 0 })).toMatch(/free$/);
      expect(await ports({ HOST: "192.0.2.1" })).toMatchObject({
        fault: expect.stringContaining("EADDRNOTAVAIL"),
      });
    } finally {
      taken.close();
    }
  });
});

describe("doctor on who is let in", () => {
  const settings = {
    AUTH_MODE: undefined,
    HOST: "127.0.0.1",
    JWT_SECRET: undefined,
    JWKS_URL: undefined,
    JWT_ISSUER: undefined,
    JWT_AUDIENCE: undefined,
    AUTH_TOKEN: undefined,
  };
  const random = "k+7vR2xN9z/LmW4cJ8bTfG5hYp3sDaE6uQ==";

  it("says where nobody could be let in, everybody would be, or tokens made for others", () => {
    expect(tokens(settings)).toMatchObject({ note: expect.stringMatching(/npm start .*openssl rand/) });
    expect(tokens({ ...settings, HOST: "0.0.0.0" })).toMatchObject({
      fault: expect.any(String),
      next: expect.stringMatching(/JWKS_URL/),
    });
    expect(tokens({ ...settings, AUTH_MODE: "jwt" })).toMatchObject({ fault: expect.any(String) });
    expect(tokens({ ...settings, AUTH_MODE: "none" })).toMatchObject({
      note: expect.stringMatching(/reads everything/),
    });
    expect(tokens({ ...settings, JWT_SECRET: random })).toMatch(/^HS256 /);
    expect(tokens({ ...settings, JWT_SECRET: "a".repeat(32) })).toMatchObject({
      note: expect.stringMatching(/guessed/),
    });
    const keys = { ...settings, JWKS_URL: "https://i.example/keys" };
    expect(tokens({ ...keys, JWT_ISSUER: "https://i.example" })).toMatchObject({
      note: expect.stringMatching(/set JWT_AUDIENCE$/),
    });
    expect(tokens({ ...keys, JWT_ISSUER: "https://i.example", JWT_AUDIENCE: "m" })).toMatch(/are checked$/);
  });

  it.each([
    ["an openssl base64", random, false],
    ["an openssl hex", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c", false],
    ["a UUID twice", "3b241101-e2bb-4255-8caf-4136c566a962", false],
    ["one letter", "a".repeat(40), true],
    ["words", "correct horse battery staple and so on", true],
    ["what examples say", `${random}-change-me`, true],
    ["letters alone", "abdefhgkmnopqrstuvwxyzabdefhgkmn", true],
  ])("takes %s for what it is", (_, secret, expected) => {
    expect(isGuessable(secret)).toBe(expected);
  });

  it("looks at every key of a set: which can be used, and what is not to be there", async () => {
    const jwk = async (algorithm: string, options = {}) => {
      const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true, ...options });
      return { open: await exportJWK(publicKey), closed: await exportJWK(privateKey) };
    };
    const [rsa, ec, ed, p384] = await Promise.all(
      ["RS256", "ES256", "EdDSA", "ES384"].map((name) => jwk(name)),
    );
    const url = "https://i.example/keys";
    const judge = (...keys: object[]) => judgeKeys(url, keys);
    expect(judge({ ...rsa!.open, kid: "1" }, { ...ec!.open, kid: "2" }, { ...ed!.open, kid: "3" })).toEqual([
      "3 keys, RS256, ES256, EdDSA",
    ]);
    expect(judge(rsa!.open, p384!.open)).toEqual(["2 keys, 1 usable, RS256"]);
    expect(judge(p384!.open, { ...rsa!.open, use: "enc" }, { ...rsa!.open, alg: "RS512" })).toMatchObject({
      fault: expect.stringMatching(/^none of 3 keys can be used/),
    });
    expect(judge({ ...rsa!.open, n: String(rsa!.open.n).slice(0, 171) })).toMatchObject({
      fault: expect.stringContaining("2048 bits"),
    });
    expect(judge(ec!.closed)).toMatchObject({ fault: expect.stringContaining("private") });
    expect(judge({ kty: "oct", k: "AAAA" })).toMatchObject({ fault: expect.stringContaining("shared key") });
    expect(judge(rsa!.open, { ...rsa!.open, kid: "2" })).toEqual([
      expect.any(String),
      { note: expect.stringContaining("kid") },
    ]);
    expect(judgeKeys("http://i.example/keys", [ec!.open])).toEqual([
      "1 key, ES256",
      { note: expect.stringContaining("use https") },
    ]);
  });
});

describe("doctor on the bridges that run", () => {
  it("sums up what is well, and names each source that is not", () => {
    const nowMs = Date.parse("2026-01-31T12:05:00Z");
    const source = (name: string, more: Partial<PipelineSource> = {}): PipelineSource => ({
      ...{
        name,
        kind: "nats",
        instance: "b1",
        state: "up",
        rate: 1.2,
        appended: 1,
        redelivered: 0,
        deadLetters: 0,
      },
      ...{ lag: null, lastEventAt: null, reportedAt: "2026-01-31T12:00:00.000Z" },
      ...more,
    });
    expect(judgeBridges([], nowMs)).toMatch(/^none runs/);
    expect(judgeBridges([source("a"), source("b", { instance: "b2", lag: 1_234 })], nowMs)).toBe(
      "2 bridges, 2 sources up, 2.4 events/s, 1,234 waiting at brokers",
    );
    expect(
      judgeBridges(
        [
          source("a"),
          source("b", { state: "down", reason: "refused" }),
          source("c", { state: "lost", rate: 0 }),
        ],
        nowMs,
      ),
    ).toEqual([
      { fault: "source b of bridge b1 is down: refused", next: expect.any(String) },
      {
        fault: "source c of bridge b1 has been silent for 5 min, and did not say good-bye",
        next: expect.any(String),
      },
    ]);
  });
});

describe("doctor on Redis", () => {
  it("says what does not keep events, and what waits in the dead letters", async (context) => {
    const reason = missing("redis-server");
    if (reason) context.skip(reason);
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    const doctor = async () => (await cli(["doctor"], { ...FREE_PORTS, REDIS_URL: server.url })).stdout;
    expect(await doctor()).toMatch(/^note {2}Redis .*appendfsync is everysec.*in the last second/m);
    await redis.command(["CONFIG", "SET", "appendfsync", "always"]);
    expect(await doctor()).not.toMatch(/appendfsync/);
    await redis.command(["CONFIG", "SET", "appendonly", "no"]);
    await redis.command(["CONFIG", "SET", "maxmemory", "100mb"]);
    // An event an hour ago, of a MiB: a day of them is more than fits.
    await redis.command(["SADD", "millrace:companies", "acme"]);
    for (let n = 0; n < 5; n++)
      await redis.command([
        "XADD",
        "millrace:{acme}:events",
        `${Date.now() - 3_600_000}-${n}`,
        "e",
        "x".repeat(1_048_576),
      ]);
    const unkept = await doctor();
    expect(unkept).toMatch(/^ok {4}Redis \S+: answers, version .*, noeviction, \S+ MiB of 100 MiB used$/m);
    expect(unkept).toMatch(/^note {2}Redis .*appendonly is off/m);
    expect(unkept).toMatch(
      /^note {2}Redis .*at the rate of the last 60 min it will hold 1\d\d MiB .*\(24 h\).* 100 MiB/m,
    );
    await redis.command(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    const evicts = await doctor();
    expect(evicts).toMatch(/^FAIL {2}Redis .*allkeys-lru.* Next: CONFIG SET maxmemory-policy noeviction/m);
    expect(evicts).not.toMatch(/^\S+ +log:/m);
  });
});

describe("doctor on the store of an older version", () => {
  it("says what a start will make of it, and leaves it to the version that has it", async () => {
    using folder = temporaryFolder();
    const version = () => {
      using connection = new DatabaseSync(join(folder.path, "millrace.db"));
      return connection.prepare("PRAGMA user_version").get()!.user_version;
    };
    {
      using database = openSqliteDatabase({ folder: folder.path, logger: silent });
      database.connection.exec("DROP TABLE bridges; PRAGMA user_version = 3");
    }
    const { code, stdout } = await cli(["doctor"], { ...FREE_PORTS, DATA_DIR: folder.path });
    expect(stdout).toMatch(/^note {2}log: of an older Millrace \(schema 3\): .* \(schema \d+\)/m);
    expect([code, version()]).toEqual([0, 3]);
  });
});

describe("a peer that takes connections and says nothing", () => {
  it("does not keep doctor from its end", { timeout: 60_000 }, async () => {
    const dumb = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
    await once(dumb, "listening");
    const place = `127.0.0.1:${(dumb.address() as AddressInfo).port}`;
    const startMs = performance.now();
    const urls = { REDIS_URL: `redis://${place}`, NATS_URL: `nats://${place}`, AMQP_URL: `amqp://${place}` };
    const more = { BROKER_ADDR: place, MONGODB_URI: `mongodb://${place}`, JWKS_URL: `http://${place}/keys` };
    const { code, stdout } = await cli(["doctor"], { ...FREE_PORTS, ...urls, ...more });
    const tookMs = performance.now() - startMs;
    dumb.close();
    expect(stdout.match(/^FAIL .*no answer in 5 s/gm)?.length).toBeGreaterThanOrEqual(4);
    expect([code, stdout.trim().split("\n").at(-1)]).toEqual([1, expect.stringMatching(/, 7 failures$/)]);
    // The driver of MongoDB is given 8 s, and a busy machine takes its time to start.
    expect(tookMs).toBeLessThan(20_000);
  });
});
