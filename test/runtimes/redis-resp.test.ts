/** RedisConnection over RESP, on a real redis-server that goes away, comes back, stalls and refuses. */
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import type { RedisConnection } from "../../functions/ports/redis-connection.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const unavailable = expect.objectContaining({ code: "unavailable", retryable: true });

/** What a subscriber was told. */
function recorder() {
  const told: string[] = [];
  return {
    told,
    message: (payload: string) => void told.push(payload),
    restored: () => void told.push("(restored)"),
  };
}

const reason = missing("redis-server");

describe("connectRedis", () => {
  let shared: TestServer;
  beforeAll(async () => {
    if (reason === undefined) shared = await startRedis();
  });
  afterAll(async () => {
    await shared?.[Symbol.asyncDispose]();
  });

  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });

  /** Runs a command on a connection of its own. */
  async function admin(args: string[], server = shared): Promise<unknown> {
    const client = createClient({ url: server.url, RESP: 2 });
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }
  const clientsOf = async (type: string, server = shared) =>
    String(await admin(["CLIENT", "LIST", "TYPE", type], server))
      .trim()
      .split("\n")
      // Without the one that asks.
      .filter((line) => line !== "" && !line.includes("cmd=client")).length;
  const callsOf = async (name: string, server: TestServer) =>
    Number(
      new RegExp(`^cmdstat_${name}:calls=(\\d+)`, "m").exec(
        String(await admin(["INFO", "commandstats"], server)),
      )?.[1] ?? 0,
    );

  it("gives replies as RESP2 does, one by one and in a pipeline", async () => {
    await using redis = await connectRedis(shared.url, silent);
    expect(await redis.command(["SET", "text", "é\x1e\r\n🚂"])).toBe("OK");
    expect(await redis.command(["GET", "text"])).toBe("é\x1e\r\n🚂");
    expect(await redis.command(["GET", "none"])).toBeNull();
    expect(
      await redis.pipeline([
        ["HSET", "hash", "a", "1", "b", "2"],
        ["HGETALL", "hash"],
        ["EXISTS", "none"],
      ]),
    ).toEqual([2, ["a", "1", "b", "2"], 0]);
    expect(await redis.pipeline([])).toEqual([]);
  });

  it("throws a reply error as it is and goes on", async () => {
    await using redis = await connectRedis(shared.url, silent);
    await redis.command(["SET", "text", "x"]);
    await expect(redis.command(["INCR", "text"])).rejects.toThrow(/not an integer/);
    await expect(redis.command(["INCR", "text"])).rejects.not.toBeInstanceOf(MillraceError);
    await expect(redis.pipeline([["PING"], ["INCR", "text"], ["PING"]])).rejects.toThrow(/not an integer/);
    expect(await redis.command(["PING"])).toBe("PONG");
  });

  it("sends a script's text once a connection, and again when the server forgot it, in order", async () => {
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    const push = "return redis.call('RPUSH', KEYS[1], ARGV[1])";
    const pushAll = (from: number) =>
      Promise.all([0, 1, 2].map((n) => redis.script(push, ["list"], [String(from + n)])));
    expect(await pushAll(0)).toEqual([1, 2, 3]);
    expect([await callsOf("eval", server), await callsOf("evalsha", server)]).toEqual([1, 2]);
    await admin(["SCRIPT", "FLUSH"], server);
    expect(await pushAll(3)).toEqual([4, 5, 6]);
    expect(await pushAll(6)).toEqual([7, 8, 9]);
    expect(await redis.command(["LRANGE", "list", "0", "-1"])).toEqual("012345678".split(""));
    await expect(redis.script("return redis.call('INCR', KEYS[1])", ["list"], [])).rejects.toThrow(
      /WRONGTYPE/,
    );
  });

  it("resolves while Redis is away, fails calls at once, and comes up by itself", async () => {
    await using server = await startRedis();
    await server.kill();
    const logger = recordingLogger();
    await using redis = await connectRedis(server.url, logger);
    const call = expect(redis.command(["PING"])).rejects;
    await call.toEqual(unavailable);
    await expect(redis.command(["PING"])).rejects.toThrow(`Cannot use Redis at "127.0.0.1:${server.port}"`);
    await expect(redis.pipeline([["PING"]])).rejects.toEqual(unavailable);
    await expect(redis.script("return 1", [], [])).rejects.toEqual(unavailable);
    await expect(redis.subscribe("channel", recorder())).rejects.toEqual(unavailable);
    await server.restart();
    await waitFor("Redis", () => redis.command(["PING"]));
    // One line when it was gone, one when it was back, however many tries.
    expect(logger.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
  });

  it("fails what is under way when the server dies, keeps nothing for later, and connects again", async () => {
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    await redis.command(["SET", "n", "0"]);
    await redis.script("return ARGV[1]", [], ["before"]);
    const waiting = redis.command(["BLPOP", "nothing", "0"]);
    const failed = expect(waiting).rejects.toEqual(unavailable);
    await server.kill();
    await failed;
    await expect(redis.command(["INCR", "n"])).rejects.toEqual(unavailable);
    await server.restart();
    await waitFor("Redis", () => redis.command(["PING"]));
    expect(await redis.command(["GET", "n"])).toBe("0");
    expect(await redis.script("return ARGV[1]", [], ["back"])).toBe("back");
    // The new server does not have the script, and was not asked for it in vain.
    expect(await callsOf("evalsha", server)).toBe(0);
  });

  it("gives up a server that accepts and never answers, in seconds, and connects again", async () => {
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    await redis.command(["PING"]);
    server.process().child.kill("SIGSTOP");
    const startMs = performance.now();
    await expect(redis.command(["PING"])).rejects.toThrow(/no answer in 5000 ms/);
    expect(performance.now() - startMs).toBeLessThan(8000);
    // The connection was given up: no further call waits for it.
    await expect(redis.command(["PING"])).rejects.toEqual(unavailable);
    server.process().child.kill("SIGCONT");
    await waitFor("Redis", () => redis.command(["PING"]));
  });

  it.each([
    ["OOM", ["CONFIG", "SET", "maxmemory", "1"]],
    ["READONLY", ["REPLICAOF", "127.0.0.1", "1"]],
    ["NOREPLICAS", ["CONFIG", "SET", "min-replicas-to-write", "1"]],
  ])("says unavailable for %s, from a command and from inside a script", async (code, command) => {
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    await redis.command(["SET", "key", "value"]);
    await admin(command, server);
    const outcome = (call: Promise<unknown>) => call.then(String, (error: MillraceError) => error);
    const write = () => redis.command(["SET", "key", "value"]);
    const writeInScript = () => redis.script("return redis.call('SET', KEYS[1], 'x')", ["key"], []);
    for (const call of [write, writeInScript]) {
      // READONLY makes it connect again, meanwhile it says so too.
      const error = await waitFor(code, async () => {
        const result = await outcome(call());
        return String(result).includes(code) && result;
      });
      expect(error).toEqual(unavailable);
    }
  });

  it("says nothing of the password, whatever goes wrong", async () => {
    await using server = await startRedis();
    const [host, secret] = [`127.0.0.1:${server.port}`, "s3cr3t%2Fword"];
    const logger = recordingLogger();
    const messages: unknown[] = [];
    const tryUrl = async (url: string) => {
      try {
        await using redis = await connectRedis(url, logger);
        await redis.command(["PING"]);
        return "PONG";
      } catch (error) {
        for (let at = error; at instanceof Error; at = at.cause) {
          messages.push(at.message, JSON.stringify(at), Object.values(at));
        }
        return (error as MillraceError).code;
      }
    };
    await admin(["CONFIG", "SET", "requirepass", "s3cr3t/word"], server);
    expect(await tryUrl(`redis://:${secret}@${host}/1`)).toBe("PONG");
    // Waiting for it would not help.
    expect(await tryUrl(`redis://:${secret}wrong@${host}`)).toBe("invalid-settings");
    expect(await tryUrl(`redis://${host}`)).toBe("invalid-settings");
    expect(await tryUrl(`redis://:${secret}@127.0.0.1:${await freePort()}`)).toBe("unavailable");
    expect(await tryUrl(`redis://:${secret}@${host}/database`)).toBe("invalid-settings");
    expect(await tryUrl(`http://:${secret}@${host}`)).toBe("invalid-settings");
    expect(await tryUrl(`redis://:${secret}@:x`)).toBe("invalid-settings");
    expect(logger.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify([messages, logger.lines])).not.toMatch(/s3cr3t/);
  });

  describe("subscribe", () => {
    const subscribed = async (server = shared) => (await admin(["PUBSUB", "CHANNELS"], server)) as string[];

    it("hands messages to every handler of a channel over one subscription, and closes with the last", async () => {
      await using redis = await connectRedis(shared.url, silent);
      const [a, b, c] = [recorder(), recorder(), recorder()];
      const ends = await Promise.all([
        redis.subscribe("one", a),
        redis.subscribe("one", b),
        redis.subscribe("two", c),
      ]);
      expect(await clientsOf("pubsub")).toBe(1);
      expect(await admin(["PUBSUB", "NUMSUB", "one", "two"])).toEqual(["one", 1, "two", 1]);
      await redis.pipeline([
        ["PUBLISH", "one", "1"],
        ["PUBLISH", "two", "é\x1e🚂"],
      ]);
      await waitFor("the messages", () => a.told.length + b.told.length + c.told.length === 3);
      expect([a.told, b.told, c.told]).toEqual([["1"], ["1"], ["é\x1e🚂"]]);
      ends[0]!();
      ends[0]!();
      await redis.command(["PUBLISH", "one", "2"]);
      await waitFor("the message", () => b.told.length === 2);
      expect(a.told).toEqual(["1"]);
      ends[1]!();
      await waitFor("one channel", async () => (await subscribed()).length === 1);
      // The same channel again, at once.
      const again = recorder();
      const end = await redis.subscribe("one", again);
      await redis.command(["PUBLISH", "one", "3"]);
      await waitFor("the message", () => again.told.length === 1);
      end();
      ends[2]!();
      await waitFor("no subscriber", async () => (await clientsOf("pubsub")) === 0);
      await (await redis.subscribe("one", a))();
    });

    it("keeps up with subscriptions that end and begin on the same channels", async () => {
      await using redis = await connectRedis(shared.url, silent);
      const keeper = recorder();
      await redis.subscribe("keeper", keeper);
      for (let round = 0; round < 50; round++) {
        const handlers = [recorder(), recorder(), recorder()];
        const ends = await Promise.all(
          handlers.map((handler, at) => redis.subscribe(`channel ${at % 2}`, handler)),
        );
        ends[round % 3]!();
        await redis.pipeline([
          ["PUBLISH", "channel 0", "x"],
          ["PUBLISH", "channel 1", "x"],
          ["PUBLISH", "keeper", String(round)],
        ]);
        await waitFor("the round's messages", () => keeper.told.length === round + 1);
        expect(handlers.map(({ told }) => told.length)).toEqual(
          [0, 1, 2].map((at) => (at === round % 3 ? 0 : 1)),
        );
        for (const end of ends) end();
      }
      await waitFor("one channel", async () => (await subscribed()).length === 1);
    });

    it.each([
      ["was cut", async () => void (await admin(["CLIENT", "KILL", "TYPE", "pubsub"]))],
      ["server was restarted", () => shared.restart()],
    ])("says restored() when it is up again after its %s, and goes on", async (_what, breakIt) => {
      await using redis = await connectRedis(shared.url, silent);
      const handlers = [recorder(), recorder()];
      await redis.subscribe("one", handlers[0]!);
      await redis.subscribe("two", handlers[1]!);
      await breakIt();
      await waitFor("both to be restored", () => handlers.every(({ told }) => told.includes("(restored)")));
      expect((await subscribed()).sort()).toEqual(["one", "two"]);
      await waitFor("Redis", () => redis.command(["PUBLISH", "one", "later"]));
      await waitFor("the message", () => handlers[0]!.told.includes("later"));
      expect(handlers.map(({ told }) => told)).toEqual([["(restored)", "later"], ["(restored)"]]);
    });
  });

  it("closes all its connections, and calls fail after that", async () => {
    await using server = await startRedis();
    const open = async (): Promise<RedisConnection> => {
      const redis = await connectRedis(server.url, silent);
      await redis.subscribe("one", recorder());
      return redis;
    };
    const redis = await open();
    expect([await clientsOf("normal", server), await clientsOf("pubsub", server)]).toEqual([1, 1]);
    const failed = expect(redis.command(["BLPOP", "nothing", "0"])).rejects.toEqual(unavailable);
    await redis[Symbol.asyncDispose]();
    await failed;
    await waitFor("no client", async () => {
      return (await clientsOf("normal", server)) + (await clientsOf("pubsub", server)) === 0;
    });
    await expect(redis.command(["PING"])).rejects.toThrow(/closed/);
    await expect(redis.subscribe("one", recorder())).rejects.toEqual(unavailable);
    await redis[Symbol.asyncDispose]();
  });
});
