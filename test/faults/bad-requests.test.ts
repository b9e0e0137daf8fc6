/** Requests that are wrong or forged: a clear error for each, nothing injected, and the other streams unharmed. */
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { message, openFramedTcp } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { openReader } from "./lib/reader.ts";

const noRedis = missing("redis-server");
const EVIL = "%0d%0a%0d%0aevent:%20evil%0adata:%20evil%0a%0a";

/** Cursors that cannot be: as the header gives them. */
const NO_CURSORS = [
  ...[
    "evil",
    "0",
    "a.b",
    "a.1",
    "a.1-",
    "a.-1-1",
    "a.1-1-1",
    ".1-1",
    "a..1-1",
    "a.01-1",
    "a.1-1 ",
    "*",
    "$",
    ">",
  ],
  ...[
    "a.1000000000000000-1",
    "a.1-1;b",
    "../../a.1-1",
    `${"e".repeat(25)}.1-1`,
    "x".repeat(5000),
    '{"$gt":""}',
  ],
].filter((text) => text.trim() === text);

describe("bad requests", { timeout: 60_000 }, () => {
  it("each gets its status and says what is wrong; forged and future cursors get a `gap`; others see nothing of it", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    const token = await mintToken("acme");
    const options = { urls: [serve.url], company: "acme", token };
    using witness = openReader(options);
    await witness.opened();
    await producer.send(upTo(20).map((n) => message("acme", n)));
    await expectAll(witness, upTo(20));

    /** The whole answer as text, or what has come of a stream that goes on. */
    const ask = async (path: string, lines: readonly string[] = []): Promise<string> => {
      const { hostname, port } = new URL(serve.url);
      const socket = connect(Number(port), hostname).setEncoding("latin1");
      let text = "";
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        text += chunk;
        if (text.includes("text/event-stream") && text.split("\n\n").length > 2) socket.destroy();
      });
      socket.write(
        [`GET ${path} HTTP/1.1`, "Host: x", `Authorization: Bearer ${token}`, "Connection: close", ...lines]
          .concat("", "")
          .join("\r\n"),
      );
      await new Promise((resolve) => socket.once("close", resolve));
      return text;
    };
    const stream = "/stream/updates?companyId=acme";
    const many = (part: string, count: number) => part.repeat(count);
    const cases: [name: string, path: string, lines: string[], status: number, says: RegExp | undefined][] = [
      ...NO_CURSORS.flatMap((cursor): typeof cases => [
        [`header ${cursor}`, stream, [`Last-Event-ID: ${cursor}`], 400, /Cannot read Last-Event-ID/],
        [
          `query ${cursor}`,
          `${stream}&lastEventId=${encodeURIComponent(cursor)}`,
          [],
          400,
          /Cannot read lastEventId/,
        ],
      ]),
      ["a cursor with line breaks", `${stream}&lastEventId=${EVIL}`, [], 400, /Cannot read lastEventId/],
      ["a cursor with U+0000 in the header", stream, ["Last-Event-ID: a\0.1-1"], 400, undefined],
      [
        "a bad query under a good header",
        `${stream}&lastEventId=evil`,
        [`Last-Event-ID: ${witness.lastEventId}`],
        400,
        /lastEventId/,
      ],
      ["two cursors", `${stream}&lastEventId=a.1-1&lastEventId=a.2-1`, [], 400, /given 2 times/],
      ["no company", "/stream/updates", [], 400, /Cannot read companyId: missing/],
      [
        "a company with line breaks",
        `/stream/updates?companyId=acme${EVIL}`,
        [],
        400,
        /Cannot read companyId/,
      ],
      ["a company with U+0000", "/stream/updates?companyId=acme%00", [], 400, /Cannot read companyId/],
      ["a company with bad escapes", "/stream/updates?companyId=%ff%zz", [], 400, /Cannot read companyId/],
      [
        "a foreign company",
        "/stream/updates?companyId=globex",
        [],
        403,
        /only stream events for your own company/,
      ],
      [
        "a company 1,000 times",
        `/stream/updates?${many("companyId=acme&", 1000)}`,
        [],
        400,
        /given 1000 times/,
      ],
      ["a type with line breaks", `${stream}&types=a${EVIL}`, [], 400, /Cannot read types/],
      ["3,000 types", `${stream}&types=${many("a,", 3000)}a`, [], 400, /more than 32/],
      ["an unknown format", `${stream}&format=${EVIL}`, [], 400, /Cannot read format/],
      ["a JWT in the URL", `${stream}&token=${token}`, [], 400, /URLs are logged/],
      ["a header of 20 KB", stream, [`X-Large: ${many("x", 20_000)}`], 431, undefined],
      ["5,000 headers", stream, Array.from({ length: 5000 }, (_, at) => `X-${at}: 1`), 431, undefined],
      ["a URL of 20 KB", `${stream}&pad=${many("x", 20_000)}`, [], 431, undefined],
      ["100,000 query parameters", `${stream}${many("&a=1", 100_000)}`, [], 431, undefined],
      ["a path with line breaks", `/nothing${EVIL}`, [], 404, /Cannot find/],
      // Thousands that fit in: nothing is wrong with them.
      ["3,000 query parameters", `${stream}${many("&a=1", 3000)}`, [], 200, undefined],
    ];
    for (const [name, path, lines, status, says] of cases) {
      const answer = await ask(path, lines);
      const [head, body] = [
        answer.slice(0, answer.indexOf("\r\n\r\n")),
        answer.slice(answer.indexOf("\r\n\r\n") + 4),
      ];
      expect({ name, line: head.split("\r\n")[0] }).toEqual({
        ...{ name, line: expect.stringContaining(`HTTP/1.1 ${status} `) },
      });
      expect(answer).not.toMatch(/^(event|data): evil/m);
      if (status === 200) continue;
      expect(head).not.toContain("text/event-stream");
      if (says === undefined) continue;
      const { error, message } = JSON.parse(/\{.*\}/s.exec(body)![0]);
      expect({ name, error, message }).toEqual({
        name,
        error: expect.any(String),
        message: expect.stringMatching(says),
      });
      expect(message.length).toBeLessThan(400);
    }

    // Well formed, and of no log that is here: the header and the query say the same.
    const tip = witness.lastEventId!;
    const epoch = tip.slice(0, tip.indexOf("."));
    const first = witness.events[0]!.cursor;
    const forged = [
      { after: "forged.1-1", resumedAt: first, events: upTo(20) },
      { after: `${epoch}.1-1`, resumedAt: first, events: upTo(20) },
      { after: `${epoch}.999999999999999-999999999999999`, resumedAt: tip, events: [] },
    ];
    for (const { after, resumedAt, events } of forged) {
      for (const lines of [[`Last-Event-ID: ${after}`], []]) {
        const query = lines.length > 0 ? "" : `&lastEventId=${after}`;
        expect(await ask(stream + query, lines)).toContain(
          `"requested":"${after}","resumedAt":"${resumedAt}"}`,
        );
      }
      using reader = openReader({ ...options, after });
      await waitFor("the gap", () => reader.gaps.length > 0);
      await expectAll(reader, events);
      expect(reader.gaps).toEqual([{ reason: "reset", requested: after, resumedAt, after: 0 }]);
    }

    await producer.send(upTo(40, 21).map((n) => message("acme", n)));
    await expectAll(witness, upTo(40));
    expect(witness.closes).toBe(0);
    expect((await fetch(`${serve.url}/ready`)).status).toBe(200);
    expect(serve.process.output()).not.toContain(token);
    expect(serve.process.output()).not.toContain('"level":50');
    console.log(`${cases.length} bad requests, ${forged.length * 3} forged cursors`);
  });
});
