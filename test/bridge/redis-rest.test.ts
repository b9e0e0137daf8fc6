/** The gateway driven by the real @upstash/redis and by fetch, in front of a real Redis. */
import { connect } from "node:net";
import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startRedisRest, type TestRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const noRedis = missing("redis-server");

describe.skipIf(noRedis)(`millrace redis-rest${noRedis ? `: ${noRedis}` : ""}`, () => {
  let server: TestServer;
  let gateway: TestRedisRest;
  beforeAll(async () => {
    server = await startRedis();
    gateway = await startRedisRest(server.url);
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await client().flushall();
  });

  const client = (options: object = {}) =>
    new Redis({
      ...{ url: gateway.url, token: gateway.token, enableTelemetry: false, retry: false },
      // On by default, and then a command goes to /pipeline even when it is alone.
      enableAutoPipelining: false,
      ...options,
    });

  const ask = async (path: string, init: RequestInit = {}, token: string | undefined = gateway.token) => {
    const headers = { ...(token === "" ? {} : { authorization: `Bearer ${token}` }), ...init.headers };
    const response = await fetch(`${gateway.url}${path}`, { ...init, headers });
    const text = await response.text();
    return { status: response.status, text, body: text === "" ? undefined : JSON.parse(text) };
  };
  const post = (path: string, body: unknown, token?: string, headers: Record<string, string> = {}) =>
    ask(path, { method: "POST", body: JSON.stringify(body), headers }, token);
  const command = (...args: unknown[]) => post("/", args);

  /** The bytes of the request line as given: fetch would tidy them up. */
  const raw = (line: string, header = "connection: close", body = "") =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(gateway.port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(text));
      const authorization = `authorization: Bearer ${gateway.token}`;
      socket.write(`${[`${line} HTTP/1.1`, "host: x", authorization, header].join("\r\n")}\r\n\r\n${body}`);
    });

  describe.each([
    { responseEncoding: "base64", automaticDeserialization: true },
    { responseEncoding: "base64", automaticDeserialization: false },
    { responseEncoding: false, automaticDeserialization: true },
    { responseEncoding: false, automaticDeserialization: false },
  ])("@upstash/redis with %o", (options) => {
    const plain = options.automaticDeserialization === false;

    it("command: every type of reply", async () => {
      const redis = client(options);
      expect(await redis.set("text", "Grüße 🌍\n\0")).toBe("OK");
      expect(await redis.get("text")).toBe("Grüße 🌍\n\0");
      expect(await redis.set("ok", "OK")).toBe("OK");
      expect(await redis.get("ok")).toBe("OK");
      expect(await redis.get("none")).toBeNull();
      expect(await redis.set("json", { a: [1, true, null] })).toBe("OK");
      expect(await redis.get("json")).toEqual(plain ? '{"a":[1,true,null]}' : { a: [1, true, null] });
      expect(await redis.incrby("n", 41)).toBe(41);
      expect(await redis.ping()).toBe("PONG");
      expect(await redis.hset("h", { a: 1, b: "two" })).toBe(2);
      expect(await redis.hgetall("h")).toEqual(plain ? ["a", "1", "b", "two"] : { a: 1, b: "two" });
      expect(await redis.mget("ok", "none", "text")).toEqual(["OK", null, "Grüße 🌍\n\0"]);
      expect(await redis.zadd("z", { score: 1.5, member: "m" })).toBe(1);
      expect(await redis.zscore("z", "m")).toEqual(plain ? "1.5" : 1.5);
      expect(await redis.xadd("s", "1-1", { field: "value" })).toBe("1-1");
      expect(await redis.xrange("s", "-", "+")).toEqual(
        plain ? [["1-1", ["field", "value"]]] : { "1-1": { field: "value" } },
      );
      expect(await redis.type("z")).toBe("zset");
      expect(await redis.time()).toHaveLength(2);
    });

    it("scripts: EVAL, SCRIPT LOAD, EVALSHA, and NOSCRIPT as an error", async () => {
      const redis = client(options);
      expect(await redis.eval("return {KEYS[1], ARGV[1], 3, false}", ["k"], ["OK"])).toEqual([
        "k",
        "OK",
        3,
        null,
      ]);
      const sha = await redis.scriptLoad("return redis.call('INCR', KEYS[1])");
      expect(sha).toMatch(/^[0-9a-f]{40}$/);
      expect(await redis.evalsha(sha, ["count"], [])).toBe(1);
      await expect(redis.evalsha("0".repeat(40), [], [])).rejects.toThrow("NOSCRIPT");
      expect(await redis.evalRo("return redis.call('GET', KEYS[1])", ["count"], [])).toEqual(plain ? "1" : 1);
    });

    it("pipeline, multi and auto-pipelining: in order, errors in their place", async () => {
      const redis = client(options);
      const pipeline = redis.pipeline().set("k", "v").incr("k").get("k");
      expect(await pipeline.exec({ keepErrors: true })).toMatchObject([
        { result: "OK" },
        { error: expect.stringContaining("ERR value is not an integer") },
        { result: "v" },
      ]);
      expect(await redis.multi().set("k", "1").incr("k").exec()).toEqual(["OK", 2]);
      const auto = client({ ...options, enableAutoPipelining: true });
      expect(await Promise.all([auto.set("a", "x"), auto.incr("i")])).toEqual(["OK", 1]);
      expect(await auto.get("a")).toBe("x");
      expect(await Promise.all([auto.get("a"), auto.get("-")])).toEqual(["x", null]);
    });

    it("subscribe and psubscribe: the confirmation, then the messages, then no more", async () => {
      const redis = client(options);
      const seen: unknown[] = [];
      const chat = redis.subscribe(["chat"]);
      const any = redis.psubscribe(["ch*"]);
      for (const type of ["subscribe", "message", "error"] as const) chat.on(type, (data) => seen.push(data));
      const patterns: unknown[] = [];
      any.on("pmessage", (data) => patterns.push(data));
      any.on("psubscribe" as never, (count: unknown) => patterns.push(count));
      await waitFor("both", () => seen.length === 1 && patterns.length === 1);
      expect(await redis.publish("chat", { text: "a, b" })).toBe(2);
      await waitFor("the message twice", () => seen.length === 2 && patterns.length === 2);
      const message = plain ? '{"text":"a, b"}' : { text: "a, b" };
      expect(seen).toEqual([1, { channel: "chat", message }]);
      expect(patterns).toEqual([1, { pattern: "ch*", channel: "chat", message }]);
      await chat.unsubscribe();
      await any.unsubscribe();
      await waitFor("nobody to listen", async () => (await redis.publish("chat", "x")) === 0);
    });
  });

  it("@upstash/redis asks every route these tests are for", async () => {
    const real = globalThis.fetch;
    const paths: string[] = [];
    globalThis.fetch = (input, init) => {
      paths.push(new URL(String(input)).pathname);
      return real(input, init);
    };
    try {
      await client().ping();
      await client().pipeline().ping().exec();
      await client().multi().ping().exec();
      await client({ enableAutoPipelining: true }).ping();
    } finally {
      globalThis.fetch = real;
    }
    expect(paths).toEqual(["/", "/pipeline", "/multi-exec", "/pipeline"]);
  });

  it("CLIENT SETINFO of @upstash/redis is answered", async () => {
    expect(await client().clientSetinfo("LIB-NAME", "x")).toBe("OK");
  });

  describe("POST /", () => {
    it("takes strings, numbers with all their digits, and booleans", async () => {
      const set = await ask("/", { method: "POST", body: '["SET","k",12345678901234567890.10]' });
      expect(set).toMatchObject({ status: 200, body: { result: "OK" } });
      expect((await command("GET", "k")).body).toEqual({ result: "12345678901234567890.10" });
      await command("SET", "k", true);
      expect((await command("GET", "k")).body).toEqual({ result: "true" });
    });

    it("gives integers with all their digits, and no more than 64 bits", async () => {
      await command("SET", "n", "9223372036854775806");
      expect((await command("INCR", "n")).text).toBe('{"result":9223372036854775807}');
      expect(await command("INCR", "n")).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/^ERR increment/) },
      });
    });

    it("base64: everything but the status OK is encoded", async () => {
      await ask("/set/k", { method: "POST", body: new Uint8Array([0, 255, 10]) });
      const headers = { "Upstash-Encoding": "base64" };
      const answers = await post(
        "/pipeline",
        [["GET", "k"], ["SET", "a", "b"], ["PING"], ["MGET", "k", "-"]],
        undefined,
        headers,
      );
      expect(answers.body).toEqual([
        { result: "AP8K" },
        { result: "OK" },
        { result: "UE9ORw==" },
        { result: ["AP8K", null] },
      ]);
      expect((await command("GET", "k")).body).toEqual({ result: "\0\ufffd\n" });
    });

    it.each([
      ["", "not JSON"],
      ["[", "not JSON"],
      ['{"a":1}', "expected a JSON array"],
      ["[]", "a command is empty"],
      ['["GET",null]', "an argument is null"],
      ['["GET",["x"]]', "an argument is object"],
    ])("%j is 400 and says why", async (body, reason) => {
      const answer = await ask("/", { method: "POST", body });
      expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(reason) } });
    });

    it("bytes that are not UTF-8 are 400: nothing is stored in their place", async () => {
      const answer = await ask("/", { method: "POST", body: Buffer.from('["SET","k","\xff"]', "latin1") });
      expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining("UTF-8") } });
    });

    it("an error of Redis is 400 with its text", async () => {
      expect(await command("NOSUCH")).toMatchObject({
        status: 400,
        body: { error: "ERR unknown command 'nosuch'" },
      });
      expect(await command("GET")).toMatchObject({
        status: 400,
        body: { error: expect.stringContaining("wrong number of arguments") },
      });
    });

    it("other encodings and formats are 400", async () => {
      const other = await post("/", ["PING"], undefined, { "Upstash-Encoding": "gzip" });
      expect(other.status).toBe(400);
      const resp = await post("/", ["PING"], undefined, { "Upstash-Response-Format": "resp2" });
      expect(resp).toMatchObject({ status: 400, body: { error: expect.stringContaining("json") } });
    });
  });

  describe("the path form", () => {
    it("takes arguments from the path, the body and the query, in this order", async () => {
      expect((await ask("/set/a/b")).body).toEqual({ result: "OK" });
      expect((await ask("/SET/a%2Fb/c%20d?EX=100")).body).toEqual({ result: "OK" });
      expect((await ask("/get/a%2Fb")).body).toEqual({ result: "c d" });
      expect((await ask("/ttl/a%2Fb")).body).toEqual({ result: 100 });
      expect((await ask("/set/k?EX=50&NX", { method: "POST", body: "from the body" })).body).toEqual({
        result: "OK",
      });
      expect((await ask("/set/k?EX=50&NX", { method: "PUT", body: "again" })).body).toEqual({ result: null });
      expect((await ask("/get/k")).body).toEqual({ result: "from the body" });
    });

    it("HEAD has the status and no body", async () => {
      expect(await ask("/get/k", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
      expect(await ask("/subscribe/k", { method: "HEAD" })).toMatchObject({ status: 405 });
    });

    it("another method is 405", async () => {
      expect(await ask("/get/k", { method: "DELETE" })).toMatchObject({ status: 405 });
    });

    it.each([
      ["GET /set/../b", "OK"],
      ["GET /set/./%00%ff%0d%0a", "OK"],
      ["GET /set//empty", "OK"],
      ["GET http://elsewhere/set/a/b", "OK"],
    ])(
      "%s: arguments are what the request line has, not what a URL parser makes of it",
      async (line, result) => {
        expect(await raw(line)).toContain(`{"result":"${result}"}`);
        expect((await command("DBSIZE")).body).toEqual({ result: 1 });
      },
    );

    it.each([
      "GET /get/%",
      "GET /get/%zz",
      "GET /%0d%0aFLUSHALL",
      "GET /get",
      "GET //get/k",
      "GET /..",
      "GET /?x",
    ])("%s is 400", async (line) => {
      expect(await raw(line)).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\n\{"error":"ERR /);
    });
  });

  describe("tokens", () => {
    it.each(["", "wrong", "x".repeat(44), "\u00e9"])("%j is 401", async (token) => {
      const answer = await post("/", ["PING"], token);
      expect(answer).toMatchObject({ status: 401, body: { error: expect.stringMatching(/^WRONGPASS/) } });
    });

    it("one in the URL is refused, right or not, and the answer does not repeat it", async () => {
      const answer = await ask(`/get/k?_token=${gateway.token}`, {}, "");
      expect(answer).toMatchObject({
        status: 400,
        body: { error: expect.stringContaining("URLs are logged") },
      });
      expect(answer.text).not.toContain(gateway.token);
      expect((await ask(`/get/k?_token=x`)).status).toBe(400);
    });

    it("the read-only one reads, and neither writes nor looks at all keys", async () => {
      await command("SET", "k", "v");
      const read = (...args: string[]) => post("/", args, gateway.readonlyToken);
      await command("SADD", "set", "a", "b");
      for (const args of [["GET", "k"], ["PING"], ["SRANDMEMBER", "set", "2"]]) {
        expect((await read(...args)).status).toBe(200);
      }
      expect((await read("XREAD", "COUNT", "1", "STREAMS", "s", "0")).body).toEqual({ result: null });
      const writes = [
        ...[
          ["SET", "k", "x"],
          ["DEL", "k"],
          ["EVAL", "return 1", "0"],
          ["EVALSHA", "0", "0"],
        ],
        ...[["SCRIPT", "LOAD", "return 1"], ["PUBLISH", "c", "m"], ["FLUSHALL"], ["GETEX", "k", "EX", "1"]],
        ...[["KEYS", "*"], ["SCAN", "0"], ["INFO"], ["FUNCTION", "FLUSH"], ["FCALL", "f", "0"]],
        // None of them changes anything, and each could hold Redis for as long as it likes.
        ...[
          ["EVAL_RO", "while true do end", "0"],
          ["EVALSHA_RO", "0", "0"],
          ["FCALL_RO", "f", "0"],
          ["SRANDMEMBER", "set", "-2000000000"],
          ["HRANDFIELD", "hash", "-2000000000"],
          ["ZRANDMEMBER", "zset", "-2000000000"],
          ["LCS", "k", "k"],
        ],
      ];
      for (const args of writes) {
        expect(await read(...args)).toMatchObject({
          status: 400,
          body: { error: expect.stringMatching(/^NOPERM/) },
        });
      }
      const all = await post(
        "/multi-exec",
        [
          ["GET", "k"],
          ["SET", "k", "x"],
        ],
        gateway.readonlyToken,
      );
      expect(all).toMatchObject({ status: 400, body: { error: expect.stringMatching(/^NOPERM/) } });
      expect((await command("GET", "k")).body).toEqual({ result: "v" });
      expect((await ask("/monitor", {}, gateway.readonlyToken)).status).toBe(400);
    });

    it("the read-only one may subscribe", async () => {
      const controller = new AbortController();
      const response = await fetch(`${gateway.url}/subscribe/c`, {
        headers: { authorization: `Bearer ${gateway.readonlyToken}` },
        signal: controller.signal,
      });
      expect(response.status).toBe(200);
      controller.abort();
    });
  });

  describe("commands that would block or endanger", () => {
    it.each([
      ...[
        ["BLPOP", "k", "0"],
        ["BRPOP", "k", "0"],
        ["BLMOVE", "a", "b", "LEFT", "LEFT", "0"],
      ],
      ...[
        ["BRPOPLPUSH", "a", "b", "0"],
        ["BLMPOP", "0", "1", "k", "LEFT"],
        ["BZPOPMIN", "k", "0"],
      ],
      ...[
        ["BZPOPMAX", "k", "0"],
        ["BZMPOP", "0", "1", "k", "MIN"],
        ["WAIT", "1", "0"],
      ],
      ...[
        ["XREAD", "BLOCK", "0", "STREAMS", "s", "$"],
        ["xread", "count", "1", "block", "0", "streams", "s", "$"],
      ],
      ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"],
      ...[["SUBSCRIBE", "c"], ["PSUBSCRIBE", "c"], ["SSUBSCRIBE", "c"], ["UNSUBSCRIBE"], ["MONITOR"]],
      ...[["MULTI"], ["EXEC"], ["DISCARD"], ["WATCH", "k"], ["UNWATCH"]],
      ...[["AUTH", "x"], ["HELLO", "3"], ["SELECT", "1"], ["QUIT"], ["RESET"], ["READONLY"]],
      ...[
        ["CLIENT", "REPLY", "OFF"],
        ["CLIENT", "KILL", "TYPE", "normal"],
        ["CLIENT", "PAUSE", "9999"],
      ],
      ...[
        ["CONFIG", "GET", "*"],
        ["CONFIG", "SET", "dir", "/"],
        ["ACL", "LIST"],
        ["MODULE", "LIST"],
      ],
      ...[
        ["SHUTDOWN"],
        ["DEBUG", "SLEEP", "9"],
        ["SAVE"],
        ["BGSAVE"],
        ["BGREWRITEAOF"],
        ["LATENCY", "RESET"],
      ],
      ...[["SLAVEOF", "h", "1"], ["REPLICAOF", "h", "1"], ["FAILOVER"], ["SYNC"], ["PSYNC", "?", "-1"]],
      ...[
        ["MIGRATE", "h", "1", "k", "0", "1"],
        ["RESTORE", "k", "0", "x"],
        ["SWAPDB", "0", "1"],
      ],
      ...[
        ["SCRIPT", "KILL"],
        ["SCRIPT", "DEBUG", "YES"],
        ["FUNCTION", "KILL"],
        ["CLUSTER", "NODES"],
      ],
      ...[["SLOWLOG", "GET"], ["COMMAND"], ["ROLE"], ["LASTSAVE"]],
    ])("%s %s is refused, alone, in a pipeline and in a transaction", async (...args) => {
      const refusal = { error: expect.stringMatching(/^ERR Command is not available: '/) };
      expect(await command(...args)).toMatchObject({ status: 400, body: refusal });
      const pipeline = await post("/pipeline", [["SET", "k", "v"], args, ["GET", "k"]]);
      expect(pipeline.body).toEqual([{ result: "OK" }, refusal, { result: "v" }]);
      const transaction = await post("/multi-exec", [["SET", "k", "changed"], args]);
      expect(transaction).toMatchObject({ status: 400, body: refusal });
      expect((await command("GET", "k")).body).toEqual({ result: "v" });
    });

    it("XREAD and XREADGROUP without BLOCK pass, whatever a group or a stream is called", async () => {
      await command("XADD", "block", "1-1", "f", "v");
      await command("XGROUP", "CREATE", "block", "block", "0");
      const read = await command("XREAD", "STREAMS", "block", "0");
      expect(read.body).toEqual({ result: [["block", [["1-1", ["f", "v"]]]]] });
      const group = await command(
        "XREADGROUP",
        "GROUP",
        "block",
        "streams",
        "COUNT",
        "1",
        "STREAMS",
        "block",
        ">",
      );
      expect(group.body).toEqual({ result: [["block", [["1-1", ["f", "v"]]]]] });
    });

    it("FLUSHALL empties the database of the token alone", async () => {
      await command("SET", "k", "v");
      await command("EVAL", "redis.call('SELECT', 1) redis.call('SET', 'other', 'v')", "0");
      expect((await command("FLUSHALL", "ASYNC")).body).toEqual({ result: "OK" });
      expect((await command("DBSIZE")).body).toEqual({ result: 0 });
      const other = await command("EVAL", "redis.call('SELECT', 1) return redis.call('GET', 'other')", "0");
      expect(other.body).toEqual({ result: "v" });
    });
  });

  describe("/multi-exec", () => {
    it("runs all of it with nothing between, though requests come at once", async () => {
      const one = (value: string) =>
        post("/multi-exec", [
          ["SET", "k", value],
          ["APPEND", "k", "+"],
          ["GET", "k"],
        ]);
      const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => one(`v${at}`)));
      answers.forEach(({ body }, at) => {
        expect(body[2]).toEqual({ result: `v${at}+` });
      });
    });

    it("goes on after an error of one command, as Redis does", async () => {
      const { body } = await post("/multi-exec", [
        ["SET", "k", "v"],
        ["INCR", "k"],
        ["GET", "k"],
      ]);
      expect(body).toEqual([
        { result: "OK" },
        { error: expect.stringContaining("ERR value") },
        { result: "v" },
      ]);
    });

    it("is discarded as a whole when a command cannot be queued", async () => {
      const answer = await post("/multi-exec", [["SET", "k", "v"], ["GET"]]);
      expect(answer).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/^EXECABORT .*wrong number of arguments/) },
      });
      expect((await command("EXISTS", "k")).body).toEqual({ result: 0 });
    });
  });

  describe("limits", () => {
    it("a body over 10 MiB is 413, announced or not", async () => {
      const bytes = 10 * 1024 * 1024 + 1;
      const announced = await raw("POST /set/k", `content-length: ${bytes}`);
      const chunked = await raw(
        "POST /set/k",
        "transfer-encoding: chunked",
        `${bytes.toString(16)}\r\n${"a".repeat(bytes)}\r\n`,
      );
      for (const answer of [announced, chunked]) {
        expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*\{"error":"ERR max request size exceeded/);
      }
      expect((await command("EXISTS", "k")).body).toEqual({ result: 0 });
    });

    it("a body just under 10 MiB is stored", async () => {
      const body = Buffer.alloc(10 * 1024 * 1024, 0x61);
      expect((await ask("/set/k", { method: "POST", body })).body).toEqual({ result: "OK" });
      expect((await command("STRLEN", "k")).body).toEqual({ result: body.length });
    });

    it("bodies of 256 MiB in all may be under way; those of clients that went away no longer count", async () => {
      const begun = Array.from({ length: 25 }, () => {
        const socket = connect(gateway.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(
          `POST /set/k HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.token}\r\ncontent-length: 10485760\r\n\r\n`,
        );
        return socket;
      });
      const body = "a".repeat(10 * 1024 * 1024);
      const store = () => raw("POST /set/k", `content-length: ${body.length}\r\nconnection: close`, body);
      try {
        await waitFor(
          "a refusal",
          async () => (await raw("POST /set/k", "content-length: 10485760")).startsWith("HTTP/1.1 503 "),
          { timeoutMs: 5_000 },
        );
      } finally {
        for (const socket of begun) socket.destroy();
      }
      await waitFor("room", async () => (await store().catch(() => "")).startsWith("HTTP/1.1 200 "));
    });

    it("a pipeline of more than 10,000 commands is 400", async () => {
      const pings = (count: number) =>
        post(
          "/pipeline",
          Array.from({ length: count }, () => ["PING"]),
        );
      expect((await pings(10_001)).body).toEqual({ error: expect.stringContaining("10001 commands") });
      expect((await pings(10_000)).body).toHaveLength(10_000);
      expect((await post("/pipeline", [])).status).toBe(400);
    });

    it.each([
      ["numbers", `[${"1,".repeat(5_242_878)}1]`],
      ["strings", `["MGET"${',"a"'.repeat(2_600_000)}]`],
      ["empty arrays", `[${"[],".repeat(3_400_000)}[]]`],
    ])("10 MiB of %s is 400 at once: nobody else waits for it", async (_, body) => {
      const startMs = performance.now();
      const answers = Array.from({ length: 3 }, () => ask("/", { method: "POST", body }));
      const others = Array.from({ length: 5 }, () => command("PING"));
      for (const answer of await Promise.all(answers)) {
        expect(answer).toMatchObject({
          status: 400,
          body: { error: expect.stringContaining("100000 values") },
        });
      }
      for (const answer of await Promise.all(others)) expect(answer.status).toBe(200);
      expect(performance.now() - startMs).toBeLessThan(1_500);
    });

    it("100,000 values of any kind pass, and what looks like values inside a text is none", async () => {
      const values = ["MSET", ...Array.from({ length: 99_998 }, (_, n) => (n % 2 ? n : `"[${n},"`))];
      expect((await post("/", values)).body).toEqual({ result: "OK" });
      expect((await command("GET", '"[2,"')).body).toEqual({ result: "3" });
      const text = '\\",[1'.repeat(100_000);
      expect((await command("SET", "k", text)).body).toEqual({ result: "OK" });
      expect((await command("GET", "k")).body).toEqual({ result: text });
    });

    it("an address of question marks takes no time, with no token", async () => {
      const startMs = performance.now();
      const line = `GET /${"?&".repeat(7_500)}`;
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(line.slice(4), {}, "")));
      for (const { status } of answers) expect(status).toBe(401);
      // A hundredth of it with an expression that looks again from every one.
      expect(performance.now() - startMs).toBeLessThan(500);
    });
  });

  describe("the probes", () => {
    it("need no token", async () => {
      expect((await ask("/healthz", {}, "")).body).toEqual({ status: "ok" });
      expect((await ask("/ready", {}, "")).body).toEqual({ status: "ready" });
    });
  });
});
