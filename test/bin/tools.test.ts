/** The commands that end by themselves: token, check, doctor, produce. */

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { jwtVerify } from "jose";
import { describe, expect, it, onTestFinished } from "vitest";
import { maskUrls } from "../../functions/core/mask-urls.ts";
import { startDurableRedis } from "../faults/lib/redis.ts";
import { freePort } from "../support/process.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { cli, FREE_PORTS, JWT_SECRET, startCli, temporaryFolder } from "./cli.ts";

/** Nobody's. */
const STRONG_SECRET = "kQ7vR2xN9zLmW4cJ8bTfG5hYp3sDaE6u";

describe("millrace token", () => {
  const key = new TextEncoder().encode(JWT_SECRET);

  it("prints a token that the server's secret verifies, and nothing else", async () => {
    const args = ["token", "--company", "acme", "--role", "ops", "--ttl", "2m"];
    const { code, stdout, stderr } = await cli(args, {
      JWT_SECRET,
      JWT_ISSUER: "https://issuer.example",
      JWT_AUDIENCE: "millrace",
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^[\w.-]+\n$/);
    const { payload } = await jwtVerify(stdout.trim(), key, {
      issuer: "https://issuer.example",
      audience: "millrace",
    });
    expect(payload).toMatchObject({ companyId: "acme", roles: ["ops"] });
    expect(payload.exp! - payload.iat!).toBe(120);
  });

  it("names several companies as such", async () => {
    const { stdout } = await cli(["token", "--company", "acme", "--company", "globex"], { JWT_SECRET });
    const { payload } = await jwtVerify(stdout.trim(), key);
    expect(payload).toMatchObject({ companies: ["acme", "globex"] });
    expect(payload).not.toHaveProperty("companyId");
  });

  it.each([
    ["without a secret", ["--company", "acme"], {}, "JWT_SECRET is unset"],
    ["for nobody", [], { JWT_SECRET }, "expected --company, --role or both"],
    ["for no company there can be", ["--company", "a b"], { JWT_SECRET }, 'companyId "a b"'],
    ["for no time", ["--company", "acme", "--ttl", "0s"], { JWT_SECRET }, "Expected a time such as"],
    [
      "for longer than any server takes",
      ["--company", "acme", "--ttl", "400d"],
      { JWT_SECRET },
      "at most 366d",
    ],
  ])("refuses %s with 2", async (_, args, env: Record<string, string>, expected) => {
    const { code, stdout, stderr } = await cli(["token", ...args], env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(expected);
  });
});

describe("millrace check", () => {
  it("names the problems of settings and of bridge.yaml at once, and exits with 2", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "bridge.yaml"), "sources:\n  - kind: nats\n  - kind: smoke\n");
    const { code, stdout, stderr } = await cli(["check"], { PORT: "x" }, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("PORT: expected");
    expect(stderr).toContain("sources[0].name");
    expect(stderr).toContain("sources[1]");
  });

  it("--print shows every effective setting and where it is from, with the secrets masked", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "mq-password");
    writeFileSync(file, "hunter5\n");
    const { code, stdout } = await cli(["check", "--print"], {
      JWT_SECRET,
      REDIS_URL: "rediss://user:hunter2@redis.example:6380",
      NATS_URL: "nats://hunter3@nats.example",
      AMQP_URL: "amqps://user:hunter4@rabbit.example/events",
      ...{ MQ_HOST: "mq.example", MQ_TLS_KEY_PASSWORD: "hunter6", MQ_PASSWORD_FILE: file },
      JWT_ISSUER: "https://issuer.example/?api_key=hunter7",
    });
    expect(code).toBe(0);
    const shown = stdout.split("\n").map((line) => line.replace(/ +# /, " # "));
    expect(shown).toEqual(
      expect.arrayContaining([
        "PORT=8787 # default",
        "REDIS_URL=rediss://***@redis.example:6380 # environment",
        "JWT_SECRET=*** # environment",
        "JWT_ISSUER=https://issuer.example/?api_key=*** # environment",
        "MQ_TLS_KEY_PASSWORD=*** # environment",
        "MQ_PASSWORD=*** # file, by MQ_PASSWORD_FILE",
        "MQ_CCDT= # unset",
      ]),
    );
    expect(stdout).toMatch(/^source nats \(nats nats:\/\/\*\*\*@nats\.example\): at-most-once$/m);
    expect(stdout).toContain(
      "\nsource rabbitmq (rabbitmq amqps://***@rabbit.example/events): at-least-once\n",
    );
    expect(stdout).toContain(
      "\nsource audit.txn (ibm-mq AUDIT.TXN of QM1 at mq.example(1414)): at-least-once\n",
    );
    expect(stdout).not.toMatch(/hunter|a secret of/);
    expect(stdout).not.toContain("would refuse");
  });

  it("lists every source of the file, those that are off too", async () => {
    using folder = temporaryFolder();
    const sources = [
      { name: "live", kind: "nats", url: "nats://token@nats.example" },
      { name: "old", kind: "framed-tcp", address: "127.0.0.1:9080", enabled: false },
    ];
    writeFileSync(join(folder.path, "bridge.yaml"), JSON.stringify({ sources }));
    const { stdout } = await cli(["check"], {}, { cwd: folder.path });
    expect(stdout.split("\n").slice(1, 4)).toEqual([
      "bridge.yaml: valid, sources: 2",
      "source live (nats nats://***@nats.example): at-most-once",
      "source old (framed-tcp 127.0.0.1:9080): off",
    ]);
  });

  it("says when serve would refuse what is valid", async () => {
    const { code, stdout } = await cli(["check"], { AUTH_MODE: "none" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^note: millrace serve would refuse/m);
  });

  it("takes the example, and refuses a file that is not there", async () => {
    expect(await cli(["check", "--config", "infra/bridge.example.yaml"])).toMatchObject({ code: 0 });
    const { code, stderr } = await cli(["check", "--config", "nowhere.yaml"]);
    expect(code).toBe(2);
    expect(stderr).toContain('"nowhere.yaml"');
  });
});

describe("millrace doctor", () => {
  it("finds everything well where it is", async (context) => {
    const reason = missing("redis-server") ?? missing("nats-server");
    if (reason) context.skip(reason);
    using folder = temporaryFolder();
    await using redis = await startDurableRedis();
    await using nats = await startNats();
    const HEARTBEAT_MS = "500";
    await using up = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path, HEARTBEAT_MS });
    const url = await up.ready();
    const port = /"tcpPort":(\d+)/.exec(up.stderr())?.[1];
    const { code, stdout } = await cli(["doctor", url], {
      ...{ ...FREE_PORTS, PORT: new URL(url).port, HEARTBEAT_MS, DATA_DIR: folder.path },
      REDIS_URL: redis.url,
      NATS_URL: nats.url,
      BROKER_ADDR: `127.0.0.1:${port}`,
      ...{ JWT_SECRET: STRONG_SECRET, AUTH_TOKEN: STRONG_SECRET, MAX_CONNECTIONS_PER_COMPANY: "100" },
    });
    expect(stdout.trim().split("\n")).toEqual([
      expect.stringMatching(/^ok {4}Node\.js: \d.* Asia\/Karachi /),
      expect.stringMatching(/^ok {4}open files: [\d,]+ at most$/),
      `ok    ports: Millrace runs on 127.0.0.1:${new URL(url).port}`,
      "ok    tokens: HS256 with JWT_SECRET; JWT_ISSUER and JWT_AUDIENCE unset",
      expect.stringMatching(/^ok {4}AUTH_TOKEN: set/),
      expect.stringMatching(
        /^ok {4}Redis \S+: answers, version \d\S+, appendonly, noeviction, \S+ [KM]iB used$/,
      ),
      expect.stringMatching(/^ok {4}DATA_DIR \S+: writable, holds a log of .*, keeps readings, .* free$/),
      "ok    log: 0 events of 0 companies, kept for 24 h",
      "ok    dead letters: none wait",
      "ok    bridges: none runs (npx millrace bridge; npm start has one)",
      expect.stringMatching(/^ok {4}source nats \(nats \S+\): nats-server \d\S* answers$/),
      expect.stringMatching(/^ok {4}source framed-tcp \(framed-tcp \S+\): answers$/),
      expect.stringMatching(/^ok {4}source redis-pubsub \(redis-pubsub \S+\): answers/),
      `ok    ${url}/healthz: answers`,
      `ok    ${url}/ready: answers`,
      expect.stringMatching(/^ok {4}\S+\/stream\/updates: heartbeat after 0\.\d s of silence$/),
      `ok    ${url}/stream/updates (compression): compressed by the server, flushed at once`,
      `ok    ${url}/stream/updates (resume): Last-Event-ID gets through`,
      `ok    ${url}/stream/history: not cached, as far as can be seen without events`,
      expect.stringMatching(/^ok {4}\S+\/ws\/dashboard: connects, ping after 0\.\d s$/),
      `ok    ${url} (cache): not cached`,
      `ok    ${url} (CORS): nothing added to CORS`,
      "22 ok, 0 notes, 0 failures",
    ]);
    expect(code).toBe(0);
    const { stdout: own } = await cli(["doctor"], { DATA_DIR: folder.path });
    expect(own).toMatch(
      /^ok {4}DATA_DIR \S+: writable, holds a log of \S+ MiB, keeps the log and readings, /m,
    );
    expect(own).toMatch(/^ok {4}log: \d+ events of \d companies, kept for 24 h$/m);
    expect(own).toMatch(/^ok {4}bridges: 1 bridge, 1 source up, \S+ events\/s$/m);
    expect(own).toMatch(/^note {2}AUTH_TOKEN: unset: .*\/api\/v1\/gpus/m);
  });

  it("says of each thing that is not there what to do, shows no secret, and exits with 1", async () => {
    const at = `127.0.0.1:${await freePort()}`;
    const { code, stdout } = await cli(["doctor", `http://${at}`], {
      ...FREE_PORTS,
      REDIS_URL: `redis://:hunter2@${at}`,
      NATS_URL: `nats://hunter2@${at}`,
      AMQP_URL: `amqp://user:hunter2@${at}`,
      BROKER_ADDR: at,
      JWKS_URL: `http://${at}/keys`,
    });
    expect(code).toBe(1);
    const lines = stdout.split("\n").filter((line) => line.startsWith("FAIL"));
    expect(lines).toHaveLength(8);
    expect(stdout).toMatch(/\n\d ok, \d notes?, 8 failures\n$/);
    for (const line of lines)
      expect(line).toMatch(/^FAIL {2}.*(ECONNREFUSED|connection refused).*\. Next: \S/);
    expect(stdout).not.toContain("hunter2");
  });

  it("asks Redis over REST for what reads and appends need, and says when the token may not", async (context) => {
    const reason = missing("redis-server");
    if (reason) context.skip(reason);
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const doctor = async (token: string) => {
      const { code, stdout } = await cli(["doctor"], {
        ...FREE_PORTS,
        UPSTASH_REDIS_REST_URL: gateway.url,
        UPSTASH_REDIS_REST_TOKEN: token,
      });
      expect(stdout).not.toContain(token);
      return { code, stdout };
    };
    expect(await doctor(gateway.token)).toEqual({
      code: 0,
      stdout: expect.stringContaining(`ok    Redis over REST ${gateway.url}: answers, and runs scripts`),
    });
    expect(await doctor(gateway.readonlyToken)).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^FAIL {2}Redis over REST .*NOPERM.*Next: put the token that may write/m),
    });
  });

  it("says once what is wrong with several sources alike", async () => {
    using folder = temporaryFolder();
    const port = await freePort();
    const { code, stdout } = await cli(["doctor"], {
      ...{ DATA_DIR: folder.path, MQ_HOST: "127.0.0.1", MQ_PORT: String(port), MQ_QMGR: "QM1" },
      BROKER_ADDR: `127.0.0.1:${port}`,
    });
    expect(code).toBe(1);
    const at = `at 127\\.0\\.0\\.1\\(${port}\\)`;
    const named = [
      "audit.txn (ibm-mq AUDIT.TXN",
      "promo.feed (ibm-mq PROMO.FEED",
      "central.sync (ibm-mq CENTRAL.SYNC",
    ]
      .map((start) => `source ${start.replace("(", "\\(")} of QM1 ${at}\\)`)
      .join(", ");
    const failures = stdout.split("\n").filter((line) => line.startsWith("FAIL"));
    expect(failures).toEqual([
      expect.stringMatching(/^FAIL {2}source framed-tcp \(framed-tcp \S+\): [^,]*ECONNREFUSED/),
      expect.stringMatching(new RegExp(`^FAIL {2}${named}: Cannot (connect to|use) IBM MQ`)),
    ]);
  });

  it("looks at the stream of a JetStream source, says of a consumer how far it is, and makes none", async (context) => {
    const reason = missing("nats-server");
    if (reason) context.skip(reason);
    using folder = temporaryFolder();
    await using nats = await startNats();
    const connection = await connect({ servers: nats.url });
    onTestFinished(() => connection.close());
    const { streams, consumers } = await jetstreamManager(connection);
    const source = { name: "orders", kind: "nats", jetstream: { stream: "ORDERS", durable: "millrace" } };
    const config = join(folder.path, "bridge.yaml");
    writeFileSync(config, JSON.stringify({ sources: [source, { ...source, name: "off", enabled: false }] }));
    const doctor = async () => {
      const env = { DATA_DIR: folder.path, NATS_URL: nats.url };
      const { code, stdout } = await cli(["doctor", "--config", config], env);
      return { code, lines: stdout.split("\n").filter((line) => /^\S+ +source /.test(line)) };
    };
    expect(await doctor()).toEqual({
      code: 1,
      lines: [
        expect.stringMatching(
          /^FAIL {2}source orders .*"ORDERS": stream not found, expected .*nats stream add ORDERS/,
        ),
        expect.stringMatching(/^note {2}source off .*: off$/),
      ],
    });
    await streams.add({ name: "ORDERS", subjects: ["orders.>"] });
    await jetstream(connection).publish("orders.paid", "{}");
    const found = await doctor();
    expect(found).toMatchObject({ code: 0 });
    expect(found.lines[0]).toMatch(/"ORDERS" holds 1 message, consumer "millrace" is not there yet/);
    await consumers.add("ORDERS", { durable_name: "millrace", ack_policy: AckPolicy.Explicit });
    expect((await doctor()).lines[0]).toMatch(/consumer "millrace" has 1 waiting and 0 unacked$/);
  });

  it("says of a server that is not ready what it says itself", async () => {
    using folder = temporaryFolder();
    const at = `127.0.0.1:${await freePort()}`;
    const env = { ...FREE_PORTS, DATA_DIR: folder.path, NATS_URL: `nats://${at}` };
    await using bridge = startCli(["bridge"], env);
    const url = await waitFor("its probes", () => /"url":"([^"]+)"/.exec(bridge.stderr())?.[1]);
    await waitFor("the source to be down", () => bridge.stderr().includes("Source is down"));
    const { code, stdout } = await cli(["doctor", url], { DATA_DIR: folder.path });
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^FAIL .*\/ready: answers 503 \(Not every source .*: nats; nats: Cannot connect to NATS /m,
    );
  });

  it("refuses a DATA_DIR that is a file, and an answer that is no key set", async () => {
    const server = createServer((_, response) => response.end("{}")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      const { code, stdout } = await cli(["doctor"], {
        DATA_DIR: "package.json",
        JWKS_URL: `http://127.0.0.1:${port}/`,
      });
      expect(code).toBe(1);
      expect(stdout).toMatch(/^FAIL {2}DATA_DIR package\.json: /m);
      expect(stdout).toMatch(/^FAIL {2}JWKS_URL \S+: no keys, /m);
      expect(stdout).toMatch(/^note {2}no broker/m);
    } finally {
      server.close();
    }
  });

  it("refuses what is no origin with 2", async () => {
    expect(await cli(["doctor", "nonsense"])).toMatchObject({ code: 2 });
  });
});

describe("millrace produce", () => {
  it.each([
    ["no broker", ["--company", "acme"], "BROKER_ADDR is unset"],
    ["no NATS", ["--company", "acme", "--to", "nats"], "NATS_URL is unset"],
    [
      "an unknown use case",
      ["--company", "acme", "--use-case", "smoke"],
      "audit, ecom, retail, events, metrics, services, telemetry",
    ],
    ["metrics of a file", ["--use-case", "metrics", "--csv", "a.csv"], "--csv is telemetry"],
    ["a company's services", ["--use-case", "services", "--company", "acme"], "expected no --company"],
    ["no queue manager", ["--company", "acme", "--use-case", "audit"], "(or MQ_HOST or MQ_CCDT: IBM MQ)"],
    ["no rate", ["--company", "acme", "--rate", "0"], "above 0"],
    ["half a message", ["--company", "acme", "--count", "0.5"], "whole number"],
  ])("refuses %s with 2", async (_, args, expected) => {
    const { code, stderr } = await cli(["produce", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(expected);
  });

  it("refuses to send nobody's messages with 2, fails with 1 where no broker is", async () => {
    const BROKER_ADDR = `127.0.0.1:${await freePort()}`;
    expect(await cli(["produce"], { BROKER_ADDR })).toMatchObject({ code: 2 });
    const { code, stderr } = await cli(["produce", "--company", "acme"], { BROKER_ADDR });
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ level: "error", code: "unavailable" });
  });

  it("sends the count to the broker and says so", async () => {
    await using broker = startCli(["broker"], FREE_PORTS);
    const BROKER_ADDR = new URL(await broker.ready()).host;
    const args = ["produce", "--company", "acme", "--count", "7", "--rate", "Infinity"];
    const { code, stdout } = await cli(args, { BROKER_ADDR });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "sent 7 messages\n" });
    broker.child.kill("SIGTERM");
    expect(await broker.ended).toBe(0);
  });
});

describe("maskUrls", () => {
  it.each([
    ["redis://user:pa@host:1/0", "redis://***@host:1/0"],
    ["at nats://token@host, nats://host", "at nats://***@host, nats://host"],
    ['{"a":"tcp://host","b":"x@y"}', '{"a":"tcp://host","b":"x@y"}'],
    ["http://host/path@2", "http://host/path@2"],
    ["https://h/?a=1&api_key=k/1&b=2, done", "https://h/?a=1&api_key=***&b=2, done"],
    ["amqps://u:p@h/v?password=x#y", "amqps://***@h/v?password=***#y"],
    ["a=b?c=d&tokens", "a=b?c=d&tokens"],
    ["mongodb://user:p/a@s@a,b:1/db?x", "mongodb://***@a,b:1/db?x"],
    ["mongodb+srv://user:p@a/db, mongodb://a/db", "mongodb+srv://***@a/db, mongodb://a/db"],
  ])("makes %j %j", (text, masked) => {
    expect(maskUrls(text)).toBe(masked);
  });
});
