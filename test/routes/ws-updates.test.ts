/** `/ws/updates` beside `/stream/updates` on one log: the same events, ids, gaps and refusals, whatever is asked. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStream } from "../../bin/conformance/sse-reader.ts";
import type { Stream } from "../../bin/conformance/stream.ts";
import { openSocket, type SocketStream } from "../../bin/conformance/ws-reader.ts";
import { token } from "./test-app.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const KEPT = 700;
const TIMEOUT_MS = 10_000;

let test: TestServer;
let headers: Record<string, string>;
let cursors: string[];
let appended = 0;

const append = async (count: number, type: string) => {
  const from = appended;
  appended += count;
  return (await test.append("acme", count, {
    ...{ from, type },
    data: '{"text":"é \\u2028 \\n 漢 😀","large":12345678901234567890}',
  })) as string[];
};

beforeAll(async () => {
  // What was appended first is kept no more.
  test = await startTestServer({ maxEvents: KEPT });
  headers = { authorization: `Bearer ${await token()}` };
  cursors = [
    ...(await append(400, "a.one")),
    ...(await append(400, "b.two")),
    ...(await append(200, "a.one")),
  ];
});
afterAll(() => test?.[Symbol.asyncDispose]());

const address = (path: string, query: string) => new URL(`${test.url}${path}?${query}`);
const openSse = (query: string, more: Record<string, string> = {}) =>
  openStream(address("/stream/updates", query), {
    headers: { accept: "text/event-stream", ...headers, ...more },
    timeoutMs: TIMEOUT_MS,
  });
const askSocket = (query: string, more: Record<string, string> = {}) =>
  openSocket(address("/ws/updates", query), { headers: { ...headers, ...more }, timeoutMs: TIMEOUT_MS });
const openWs = async (query: string, more: Record<string, string> = {}): Promise<SocketStream> => {
  const opened = await askSocket(query, more);
  if ("status" in opened) throw new Error(`${opened.status} ${opened.text}`);
  return opened;
};

/** What a client makes of it. The JSON is compared as text: both are to carry it as it is stored. */
const eventsOf = ({ parsed }: Stream) =>
  parsed.events.map(({ type, lastEventId }) => `${type} ${lastEventId}`);
const dataOfSse = ({ parsed }: Stream) => parsed.events.map(({ data }) => data);
const dataOfWs = ({ texts }: SocketStream) =>
  texts.flatMap((text) => /"data":(.*)\}$/s.exec(text)?.[1] ?? []);

const FIRST_KEPT = 300;
const CASES: readonly (readonly [
  name: string,
  query: (all: string[]) => string,
  header?: (all: string[]) => string,
])[] = [
  ["from now on", () => ""],
  ["from the beginning, which is kept no more", () => "lastEventId=0.0-0"],
  ["after an event that is kept no more", (all) => `lastEventId=${all[3]}`],
  ["after the last one kept no more", (all) => `lastEventId=${all[FIRST_KEPT - 1]}`],
  ["after one of several pages", (all) => `lastEventId=${all[FIRST_KEPT + 20]}`],
  ["at the tip", (all) => `lastEventId=${all.at(-1)}`],
  ["in the header, which wins", (all) => `lastEventId=${all[FIRST_KEPT + 20]}`, (all) => all.at(-5)!],
  ["of another log", () => "lastEventId=other.1-1"],
  ["beyond the tip", (all) => `lastEventId=${all[0]!.split(".")[0]}.999999999999999-0`],
  ["one type", (all) => `lastEventId=${all[FIRST_KEPT + 20]}&types=a.one`],
  ["two types", (all) => `lastEventId=${all[FIRST_KEPT + 20]}&types=b.two,c.three`],
  ["a type there is none of", (all) => `lastEventId=${all[FIRST_KEPT + 20]}&types=never`],
  ["whole events", (all) => `lastEventId=${all.at(-30)}&format=cloudevents`],
  [
    "whole events of one type, fresh ones first",
    (all) => `lastEventId=${all.at(-30)}&format=cloudevents&types=c.three&overflow=drop-oldest`,
  ],
];

describe("/ws/updates", { timeout: 60_000 }, () => {
  it.for(CASES)("says what the stream says: %s", async ([, query, header]) => {
    const asked = `companyId=acme&${query(cursors)}`;
    const more = header === undefined ? {} : { "last-event-id": header(cursors) };
    const [sse, ws] = [await openSse(asked, more), await openWs(asked, more)];
    try {
      await ws.until(() => ws.messages.length > 0, TIMEOUT_MS);
      const live = [
        ...(await append(3, "c.three")),
        ...(await append(2, "a.one")),
        ...(await append(2, "b.two")),
      ];
      cursors.push(...live);
      const tip = live.at(-1)!;
      // With the cursor of what was filtered out, which both are told of.
      for (const stream of [sse, ws] as const)
        expect(await stream.until(() => stream.parsed.lastEventId === tip, TIMEOUT_MS)).toBe(true);
      expect(eventsOf(ws)).toEqual(eventsOf(sse));
      expect(dataOfWs(ws)).toEqual(dataOfSse(sse));
      expect([...sse.parsed.problems, ...ws.parsed.problems]).toEqual([]);
      if (!asked.includes("never")) expect(sse.parsed.events.length).toBeGreaterThan(2);
      expect(ws.messages[0]).toEqual({ retry: 3000 });
    } finally {
      for (const stream of [sse, ws]) stream.close();
    }
  });

  it("puts one event into one message, also where many are replayed at once", async () => {
    const ws = await openWs(`companyId=acme&lastEventId=${cursors.at(-201)}`);
    await ws.until(() => ws.parsed.events.length === 200, TIMEOUT_MS);
    expect(ws.messages.filter(({ event }) => event !== undefined)).toHaveLength(200);
    expect(ws.texts.every((text) => !text.includes("\n"))).toBe(true);
    ws.close();
  });

  it.for([
    ["no company", "", {}, 400],
    ["an impossible company", "companyId=a%20b", {}, 400],
    ["two companies", "companyId=acme&companyId=globex", {}, 400],
    ["another company", "companyId=globex", {}, 403],
    ["a malformed cursor", "companyId=acme&lastEventId=x", {}, 400],
    ["a malformed cursor in the header", "companyId=acme", { "last-event-id": "x" }, 400],
    ["an impossible type", "companyId=acme&types=A", {}, 400],
    ["an unknown format", "companyId=acme&format=xml", {}, 400],
    ["an unknown overflow", "companyId=acme&overflow=x", {}, 400],
    ["no token", "companyId=acme", { authorization: "" }, 401],
    ["a token that is none", "companyId=acme", { authorization: "Bearer x" }, 401],
    ["two tickets", "companyId=acme&ticket=a&ticket=b", { authorization: "" }, 400],
  ] as const)("refuses as the stream does: %s", async ([, query, more, status]) => {
    const answer = await askSocket(query, more);
    const stream = await fetch(address("/stream/updates", query), {
      headers: { ...headers, ...more, accept: "application/json" },
    });
    if (!("status" in answer)) throw new Error("it was opened");
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect([answer.status, answer.json]).toEqual([stream.status, await stream.json()]);
  });

  it("refuses a JWT in the URL with 400, and does not repeat it", async () => {
    const jwt = await token();
    const answer = await askSocket(`companyId=acme&token=${jwt}`, { authorization: "" });
    expect(answer).toMatchObject({ status: 400, json: { error: "Bad Request" } });
    expect("text" in answer && answer.text).not.toContain(jwt);
  });

  it("closes with 4401 when the token has ended, 1001 with a `retry` on drain", async () => {
    const short = await token({ companyId: "acme" }, Math.floor(Date.now() / 1000) - 3);
    const ended = await openWs("companyId=acme", { authorization: `Bearer ${short}` });
    await ended.until(() => ended.ended, TIMEOUT_MS);
    expect(ended.closeCode).toBe(4401);
    const drained = await openWs("companyId=acme");
    await drained.until(() => drained.messages.length > 1, TIMEOUT_MS);
    await test.hub.drain(0);
    await drained.until(() => drained.ended, TIMEOUT_MS);
    expect(drained.closeCode).toBe(1001);
    expect(drained.messages.at(-1)).toEqual({ retry: expect.any(Number) });
    expect(await askSocket("companyId=acme")).toMatchObject({
      status: 503,
      headers: { "retry-after": expect.any(String) },
    });
  });
});
