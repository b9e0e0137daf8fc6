/** RedisConnection over REST, on a real Redis behind a REST interface that stalls, hangs, refuses and has no SUBSCRIBE. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectRedisRest, type RedisRestOptions } from "../../functions/adapters/redis-connection-rest.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { type Environment, readSettings } from "../../functions/core/settings.ts";
import { openStore, whenUp } from "../../functions/runtimes/node/open-store.ts";
import { event, newCompany } from "../contracts/event-log-support.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { type RestPeer, startRestPeer } from "../support/rest-peer.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const unavailable = expect.objectContaining({ code: "unavailable", retryable: true });
const invalidSettings = expect.objectContaining({ code: "invalid-settings", retryable: false });
const reason = missing("redis-server");

/** What a subscriber was told. */
function recorder() {
  const told: string[] = [];
  return {
    told,
    message: (payload: string) => void told.push(payload),
    restored: () => void told.push("(restored)"),
  };
}

describe("connectRedisRest", () => {
  let server: TestServer;
  let peer: RestPeer;
  beforeAll(async () => {
    if (reason === undefined) server = await startRedis();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(async (context) => {
    if (reason !== undefined) return context.skip(reason);
    peer = await startRestPeer(server.url);
    return () => peer[Symbol.asyncDispose]();
  });

  const connect = (options: Partial<RedisRestOptions> = {}) =>
    connectRedisRest({ url: peer.url, token: peer.token, logger: silent, ...options });
  const outcome = (call: Promise<unknown>) => call.then(String, (error: unknown) => error as MillraceError);
  const named = (name: string) => peer.commands.filter((line) => line.startsWith(`${name} `));

  it("gives replies as RESP2 does, one by one and in a pipeline", async () => {
    await using redis = connect();
    expect(await redis.command(["SET", "text", "é\x1e\r\n🚂"])).toBe("OK");
    expect(await redis.command(["GET", "text"])).toBe("é\x1e\r\n🚂");
    expect(await redis.command(["GET", "none"])).toBeNull();
    expect(
      await redis.pipeline([
        ["HSET", "hash", "a", "1", "b", '{"n":12345678901234567890}'],
        ["HGETALL", "hash"],
        ["EXISTS", "none"],
      ]),
    ).toEqual([2, ["a", "1", "b", '{"n":12345678901234567890}'], 0]);
    expect(await redis.pipeline([])).toEqual([]);
  });

  it("gives the replies of a pipeline of any length in order", async () => {
    await using redis = connect();
    const numbers = Array.from({ length: 2500 }, (_, n) => String(n));
    expect(await redis.pipeline(numbers.map((n) => ["ECHO", n]))).toEqual(numbers);
  });

  it("throws a reply error as it is, without the command that it was a reply to, and goes on", async () => {
    await using redis = connect();
    await redis.command(["SET", "text", "secret"]);
    const error = await outcome(redis.command(["INCRBY", "text", "secret"]));
    expect(error).toEqual(new Error("ERR value is not an integer or out of range"));
    await expect(redis.pipeline([["PING"], ["INCR", "text"]])).rejects.toThrow(
      /^ERR value is not an integer/,
    );
    await expect(redis.script("return redis.call('LLEN', KEYS[1])", ["text"], [])).rejects.toThrow(
      /WRONGTYPE/,
    );
    expect(await redis.command(["PING"])).toBe("PONG");
  });

  it("sends a script's text once, and again when the server has forgotten it", async () => {
    await using redis = connect();
    const run = (n: number) => redis.script("return {KEYS[1], ARGV[1]}", ["key"], [String(n)]);
    for (const n of [1, 2, 3]) expect(await run(n)).toEqual(["key", String(n)]);
    expect([named("EVALSHA").length, named("EVAL").length]).toEqual([3, 1]);
    await redis.command(["SCRIPT", "FLUSH"]);
    expect(await run(4)).toEqual(["key", "4"]);
    expect(await run(5)).toEqual(["key", "5"]);
    expect([named("EVALSHA").length, named("EVAL").length]).toEqual([5, 2]);
  });

  it("gives up the header for key locking where the server refuses it, and remembers that", async () => {
    await using redis = connect({ keyLocking: true });
    for (const n of ["1", "2"]) expect(await redis.script("return ARGV[1]", [], [n])).toBe(n);
    expect(await redis.script("return ARGV[1] .. '!'", [], ["3"])).toBe("3!");
    expect(named("EVAL").filter((line) => line.includes("allow-key-locking")).length).toBe(1);
    await expect(redis.script("return ++", [], [])).rejects.toThrow(/compiling script/);
  });

  it("fails in time when the server does not answer, and when it is not there", async () => {
    await using redis = connect({ times: { deadlineMs: 300 } });
    await redis.command(["PING"]);
    peer.hang = true;
    await expect(redis.command(["PING"])).rejects.toThrow(/no answer in 300 ms/);
    await expect(redis.subscribe("channel", recorder())).rejects.toThrow(/no confirmation in 300 ms/);
    peer.hang = false;
    expect(await redis.command(["PING"])).toBe("PONG");
    await using nowhere = connect({ url: `http://127.0.0.1:${await freePort()}` });
    await expect(nowhere.command(["PING"])).rejects.toEqual(unavailable);
    await expect(nowhere.command(["PING"])).rejects.toThrow(
      /Cannot use Redis over REST at "127.*ECONNREFUSED/,
    );
    await expect(nowhere.pipeline([["PING"]])).rejects.toEqual(unavailable);
    await expect(nowhere.script("return 1", [], [])).rejects.toEqual(unavailable);
    await expect(nowhere.subscribe("channel", recorder())).rejects.toEqual(unavailable);
  });

  it.each([
    [200, '[{"error":"LOADING Redis is loading the dataset in memory"}]'],
    [200, '[{"error":"READONLY You can\'t write against a read only replica."}]'],
    [200, '[{"error":"ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."}]'],
    [400, '{"error":"ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."}'],
    [503, '{"error":"ERR Redis cannot be reached"}'],
    [502, "<html>Bad Gateway</html>"],
    [500, "{}"],
    [200, "<html>Welcome</html>"],
    [200, "{}"],
    [200, "[]"],
  ])("says unavailable for %i %s", async (status, body) => {
    await using redis = connect();
    peer.answer = { status, body };
    await expect(redis.command(["PING"])).rejects.toEqual(unavailable);
    await expect(redis.pipeline([["PING"]])).rejects.toEqual(unavailable);
    await expect(redis.script("return 1", [], [])).rejects.toEqual(unavailable);
  });

  it("throws what is too large as it is: it would be as large the next time", async () => {
    await using redis = connect();
    peer.answer = { status: 413, body: '{"error":"ERR max request size exceeded. Limit: 10485760 bytes"}' };
    await expect(redis.command(["PING"])).rejects.toEqual(
      new Error("ERR max request size exceeded. Limit: 10485760 bytes"),
    );
  });

  it("says invalid-settings when it was never let in, later unavailable; the token is nowhere", async () => {
    const logger = recordingLogger();
    const said: unknown[] = [];
    const tokens = ["s3cr3t-that-is-wrong", peer.token];
    for (const token of tokens) {
      await using redis = connect({ token, logger });
      if (token === peer.token) {
        await redis.command(["PING"]);
        await redis.subscribe("channel", recorder());
        peer.answer = { status: 401, body: '{"error":"Unauthorized"}' };
        peer.cut();
        await waitFor("a line", () => logger.lines.some(({ level }) => level === "warn"));
      }
      const expected = token === peer.token ? unavailable : invalidSettings;
      for (const call of [
        () => redis.command(["PING"]),
        () => redis.pipeline([["PING"]]),
        () => redis.script("return 1", [], []),
        () => redis.subscribe("other", recorder()),
      ]) {
        const error = await outcome(call());
        expect(error).toEqual(expected);
        said.push((error as Error).message, JSON.stringify(error), (error as Error).cause);
      }
    }
    for (const token of tokens) expect(JSON.stringify([said, logger.lines])).not.toContain(token);
  });

  it("says which token is missing when this one may only read", async () => {
    await using redis = connect();
    await redis.command(["PING"]);
    peer.answer = { status: 200, body: '[{"error":"NOPERM this token may only read"}]' };
    await expect(redis.command(["SET", "a", "b"])).rejects.toEqual(invalidSettings);
  });

  it.each(["redis://127.0.0.1", "https://user:secret@host", "https://host/?_token=secret", "nothing"])(
    "refuses the URL %s without repeating it",
    (url) => {
      expect(() => connect({ url })).toThrow(MillraceError);
      expect(() => connect({ url })).not.toThrow(/secret/);
    },
  );

  it("sends nothing twice", async () => {
    await using redis = connect();
    await redis.command(["DEL", "n"]);
    peer.answer = { status: 500, body: "{}" };
    await expect(redis.command(["INCR", "n"])).rejects.toEqual(unavailable);
    peer.answer = undefined;
    expect(await redis.command(["INCR", "n"])).toBe(1);
    expect(named("INCR").length).toBe(1);
  });

  it("fails what is under way when it is closed, and everything after", async () => {
    const redis = connect();
    await redis.subscribe("one", recorder());
    peer.hang = true;
    const failed = expect(redis.command(["PING"])).rejects.toThrow(/closed/);
    await redis[Symbol.asyncDispose]();
    await failed;
    await waitFor("no stream", () => peer.streams.length === 0);
    await expect(redis.command(["PING"])).rejects.toEqual(unavailable);
    await expect(redis.subscribe("one", recorder())).rejects.toEqual(unavailable);
    await redis[Symbol.asyncDispose]();
  });

  describe("subscribe", () => {
    it("hands messages to every handler of a channel over one stream, and closes it with the last", async () => {
      await using redis = connect();
      const odd = "a/b?c,d%20 é{e}";
      const [a, b, c] = [recorder(), recorder(), recorder()];
      const ends = await Promise.all([
        redis.subscribe(odd, a),
        redis.subscribe(odd, b),
        redis.subscribe("two", c),
      ]);
      expect(peer.streams.sort()).toEqual([odd, "two"]);
      const large = `{${"é".repeat(300_000)}}`;
      await redis.pipeline([
        ["PUBLISH", odd, "1"],
        ["PUBLISH", odd, ""],
        ["PUBLISH", odd, large],
        ["PUBLISH", "two", "é\x1e🚂,"],
      ]);
      await waitFor("the messages", () => a.told.length + b.told.length + c.told.length === 7);
      expect([a.told, b.told, c.told]).toEqual([["1", "", large], ["1", "", large], ["é\x1e🚂,"]]);
      ends[0]!();
      ends[0]!();
      await redis.command(["PUBLISH", odd, "2"]);
      await waitFor("the message", () => b.told.length === 4);
      expect(a.told.length).toBe(3);
      ends[1]!();
      // The same channel again, at once.
      const again = recorder();
      const end = await redis.subscribe(odd, again);
      await redis.command(["PUBLISH", odd, "3"]);
      await waitFor("the message", () => again.told.length === 1);
      end();
      ends[2]!();
      await waitFor("no stream", () => peer.streams.length === 0);
      expect(await redis.command(["PUBSUB", "CHANNELS"])).toEqual([]);
    });

    it("opens a stream that was cut again, says restored(), and says nothing else", async () => {
      const logger = recordingLogger();
      await using redis = connect({ logger });
      const handlers = [recorder(), recorder()];
      await redis.subscribe("one", handlers[0]!);
      await redis.subscribe("two", handlers[1]!);
      peer.cut();
      await waitFor("both to be restored", () => handlers.every(({ told }) => told.includes("(restored)")));
      await redis.command(["PUBLISH", "one", "later"]);
      await waitFor("the message", () => handlers[0]!.told.includes("later"));
      expect(handlers.map(({ told }) => told)).toEqual([["(restored)", "later"], ["(restored)"]]);
      expect(logger.lines.filter(({ level }) => level !== "debug")).toEqual([]);
    });

    it("opens a stream again that stalls, where comments have come before", async () => {
      await using commenting = await startRestPeer(server.url, 50);
      await using redis = connectRedisRest({
        ...{ url: commenting.url, token: commenting.token, logger: silent },
        times: { heartbeatMs: 400, lookMs: 300, maxLookMs: 300 },
      });
      const handler = recorder();
      await redis.subscribe("one", handler);
      // Comments alone keep it open, and cost nothing.
      const sinceMs = performance.now();
      await waitFor("a second", () => performance.now() > sinceMs + 1000);
      expect([handler.told, commenting.asked, commenting.commands]).toEqual([[], 1, []]);
      commenting.stall();
      await waitFor("the subscription", () => handler.told.length === 1);
      await redis.command(["PUBLISH", "one", "later"]);
      await waitFor("the message", () => handler.told.length === 2);
      expect(handler.told).toEqual(["(restored)", "later"]);
    });

    it("looks less and less often at a silent stream without comments, and opens it again in the end", async () => {
      await using redis = connect({ times: { lookMs: 100, maxLookMs: 400, reopenMs: 2000 } });
      const handler = recorder();
      await redis.subscribe("one", handler);
      peer.stall();
      await waitFor("a second stream", () => peer.asked === 2 && peer.streams.length === 1);
      // 100, 300, 700, 1100, 1500, 1900, and again when it is up.
      expect(handler.told.length).toBeGreaterThanOrEqual(4);
      expect(handler.told.length).toBeLessThanOrEqual(8);
      await redis.command(["PUBLISH", "one", "later"]);
      await waitFor("the message", () => handler.told.includes("later"));
    });

    it.each([400, 404, 405, 429])(
      "polls where SUBSCRIBE is answered with %i, until it is not",
      async (status) => {
        const logger = recordingLogger();
        peer.noSubscribe = status;
        await using redis = connect({ logger, times: { pollMs: 50, pollForMs: 500 } });
        const handler = recorder();
        const end = await redis.subscribe("one", handler);
        await waitFor("polls", () => handler.told.length >= 3);
        expect(logger.lines.filter(({ level }) => level === "warn").length).toBe(1);
        peer.noSubscribe = undefined;
        await waitFor("a stream", () => peer.streams.length === 1);
        await redis.command(["PUBLISH", "one", "later"]);
        await waitFor("the message", () => handler.told.includes("later"));
        end();
        await waitFor("no stream", () => peer.streams.length === 0);
        const told = handler.told.length;
        const asked = peer.asked;
        const sinceMs = performance.now();
        await waitFor("some polls' time", () => performance.now() > sinceMs + 300);
        expect([handler.told.length, peer.asked]).toEqual([told, asked]);
      },
    );

    it("tries SUBSCRIBE again soon where it was away for a moment, and less and less often where it stays away", async () => {
      const logger = recordingLogger();
      await using redis = connect({ logger });
      const handler = recorder();
      await redis.subscribe("one", handler);
      peer.noSubscribe = 404;
      peer.cut();
      await waitFor("a poll", () => logger.lines.some(({ level }) => level === "warn"));
      peer.noSubscribe = undefined;
      await waitFor("the stream", () => peer.streams.length === 1, { timeoutMs: 4_000 });
      await redis.command(["PUBLISH", "one", "later"]);
      await waitFor("the message", () => handler.told.includes("later"));
      peer.noSubscribe = 404;
      peer.cut();
      const asked = peer.asked;
      const sinceMs = performance.now();
      await waitFor("some time", () => performance.now() > sinceMs + 6_000);
      // After about 0, 1, 3 and 7 s, each half as much sooner or later.
      expect(peer.asked - asked).toBeGreaterThanOrEqual(2);
      expect(peer.asked - asked).toBeLessThanOrEqual(5);
    });

    it("says once that it polls, however many channels", async () => {
      const logger = recordingLogger();
      peer.noSubscribe = 429;
      await using redis = connect({ logger, times: { pollMs: 50, pollForMs: 100 } });
      const handlers = Array.from({ length: 5 }, recorder);
      await Promise.all(handlers.map((handler, n) => redis.subscribe(`channel ${n}`, handler)));
      await waitFor("polls", () => handlers.every(({ told }) => told.length >= 5));
      expect(logger.lines.filter(({ level }) => level === "warn").length).toBe(1);
    });

    it("polls as often as the most impatient handler of a channel wants", async () => {
      peer.noSubscribe = 404;
      await using redis = connect({ times: { pollMs: 60_000 } });
      const [patient, impatient] = [recorder(), recorder()];
      await redis.subscribe("one", patient);
      await redis.subscribe("two", { ...impatient, withinMs: 200 });
      await waitFor("polls", () => impatient.told.length >= 5, { timeoutMs: 4_000 });
      expect(patient.told.length).toBeLessThanOrEqual(4);
    });

    it("takes one comment for a greeting, not for a promise of more", async () => {
      await using greeting = await startRestPeer(server.url);
      greeting.greeting = ": connected\n\n";
      await using redis = connectRedisRest({
        ...{ url: greeting.url, token: greeting.token, logger: silent },
        times: { heartbeatMs: 300, lookMs: 500, maxLookMs: 500 },
      });
      const handler = recorder();
      await redis.subscribe("one", handler);
      await waitFor("looks", () => handler.told.length >= 3);
      expect(greeting.asked).toBe(1);
    });

    it("no longer waits for comments when a stream was given up without any", async () => {
      await using peers = await startRestPeer(server.url, 50);
      await using redis = connectRedisRest({
        ...{ url: peers.url, token: peers.token, logger: silent },
        times: { heartbeatMs: 400, lookMs: 500, maxLookMs: 500 },
      });
      const handler = recorder();
      await redis.subscribe("one", handler);
      await waitFor("comments", () => peers.comments > 5);
      // Another server takes its place, which sends none.
      peers.commentMs = undefined;
      peers.cut();
      await waitFor("the second stream, and a third", () => peers.asked === 3);
      const told = handler.told.length;
      await waitFor("looks", () => handler.told.length >= told + 4);
      expect(peers.asked).toBe(3);
    });

    it("keeps trying while the server refuses the stream, with pauses, and rejects who comes meanwhile", async () => {
      const logger = recordingLogger();
      await using redis = connect({ logger, times: { maxBackoffMs: 200 } });
      const handler = recorder();
      await redis.subscribe("one", handler);
      peer.answer = { status: 503, body: '{"error":"too many subscriptions"}' };
      peer.cut();
      await waitFor("the loss", () => logger.lines.some(({ level }) => level === "warn"));
      const late = recorder();
      await expect(redis.subscribe("one", late)).rejects.toThrow(/HTTP 503 too many subscriptions/);
      peer.answer = undefined;
      await waitFor("the subscription", () => handler.told.length === 1);
      expect(late.told).toEqual([]);
      expect(logger.lines.map(({ level }) => level).filter((level) => level !== "debug")).toEqual([
        "warn",
        "info",
      ]);
    });

    it("leaves nothing behind after a thousand joins and leaves", async () => {
      await using redis = connect();
      for (let round = 0; round < 20; round++) {
        const ends = await Promise.all(
          Array.from({ length: 50 }, (_, n) => redis.subscribe(`channel ${n % 5}`, recorder())),
        );
        for (const end of ends) end();
        // Left before it was up.
        const leaving = redis.subscribe("leaving", recorder());
        (await leaving)();
      }
      await waitFor("no stream", () => peer.streams.length === 0);
      expect(await redis.command(["PUBSUB", "CHANNELS"])).toEqual([]);
      // One stream a channel and round.
      expect(peer.asked).toBeLessThanOrEqual(20 * 6);
    });
  });
});

describe("the REST store of the settings", () => {
  const url = "https://one.upstash.io";
  it.each([
    [{ UPSTASH_REDIS_REST_URL: url }, /UPSTASH_REDIS_REST_TOKEN: expected/],
    [{ UPSTASH_REDIS_REST_TOKEN: "secret" }, /UPSTASH_REDIS_REST_TOKEN: expected UPSTASH_REDIS_REST_URL/],
    [{ UPSTASH_REDIS_REST_URL: "https://u:secret@host", UPSTASH_REDIS_REST_TOKEN: "t" }, /expected no user/],
    [{ UPSTASH_REDIS_REST_URL: "redis://host", UPSTASH_REDIS_REST_TOKEN: "t" }, /expected a URL of http/],
  ])("refuses %j without repeating a value", (env, message) => {
    expect(() => readSettings(env)).toThrow(message);
    expect(() => readSettings(env)).not.toThrow(/secret/);
  });

  it("takes a token alone where REDIS_URL is, which is what redis-rest has", () => {
    const env = { REDIS_URL: "redis://127.0.0.1", UPSTASH_REDIS_REST_TOKEN: "secret" };
    expect(readSettings(env)).toMatchObject(env);
  });

  it("is not ready with a token that may only read: every read is a script", async (context) => {
    if (reason !== undefined) context.skip(reason);
    await using server = await startRedis();
    await using gateway = await startRedisRest(server.url);
    const settings = readSettings({
      ...{ UPSTASH_REDIS_REST_URL: gateway.url, UPSTASH_REDIS_REST_TOKEN: gateway.readonlyToken },
    });
    await using store = await openStore({ settings, logger: silent });
    await expect(store.log.ping()).rejects.toEqual(invalidSettings);
    await expect(whenUp(store, AbortSignal.timeout(10_000))).rejects.toEqual(invalidSettings);
  });

  it("is on Redis over REST, unless REDIS_URL is set too", async (context) => {
    if (reason !== undefined) context.skip(reason);
    await using server = await startRedis();
    await using peer = await startRestPeer(server.url);
    const rest = { UPSTASH_REDIS_REST_URL: peer.url, UPSTASH_REDIS_REST_TOKEN: peer.token };
    const append = async (env: Environment) => {
      await using store = await openStore({ settings: readSettings(env), logger: silent });
      await store.log.append([event(newCompany(), 1)]);
      await store.deadLetters.list({ limit: 1 });
      return peer.commands.splice(0).length > 0;
    };
    expect(await append(rest)).toBe(true);
    expect(await append({ ...rest, REDIS_URL: server.url })).toBe(false);
  });
});
