/** Subscriptions by the client of graphql-sse, on a real server: delivered, resumed, ended. */
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Cursor } from "../../functions/core/cursor.ts";
import { encodeRecord } from "../../functions/core/event.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { GraphqlContext } from "../../functions/graphql/request.ts";
import { subscriptionResolvers } from "../../functions/graphql/subscriptions.ts";
import { type TicketNews, ticketEvent } from "../../functions/graphql/ticket-events.ts";
import type { StreamItem } from "../../functions/ports/live.ts";
import { token } from "../routes/test-app.ts";
import { startTestServer, type TestServer } from "../routes/test-server.ts";
import { waitFor } from "../support/wait.ts";
import { run, subscribe } from "./graphql-support.ts";

const TICKETS = `subscription ($id: ID, $after: Cursor) {
  ticketUpdated(id: $id, after: $after) { cursor ticket { id subject status assignee } gap { reason requested resumedAt } }
}`;
const MESSAGES = `subscription ($ticketId: ID!, $after: Cursor) {
  ticketMessage(ticketId: $ticketId, after: $after) { cursor message { id ticketId author text } gap { reason } }
}`;
const EVENTS = `subscription ($types: [String!], $after: Cursor) {
  events(types: $types, after: $after) { cursor event { cursor id type source subject time data } gap { reason requested resumedAt } }
}`;
const CREATE = `mutation ($id: ID, $subject: String!) { createTicket(id: $id, input: { subject: $subject }) { id } }`;
const UPDATE = `mutation ($id: ID!, $input: UpdateTicketInput!) { updateTicket(id: $id, input: $input) { id } }`;
const POST = `mutation ($ticketId: ID!, $text: String!, $id: ID) { postTicketMessage(ticketId: $ticketId, text: $text, id: $id) { id } }`;

interface TicketItem {
  cursor: string;
  ticket: { id: string; subject: string; status: string; assignee: string | null } | null;
  gap: { reason: string } | null;
}
interface MessageItem {
  cursor: string;
  message: { id: string; ticketId: string; author: string; text: string } | null;
}
interface EventItem {
  cursor: string;
  event: { cursor: string; id: string; type: string; data: unknown } | null;
  gap: { reason: string; requested: string; resumedAt: string } | null;
}

let test: TestServer;
let acme: { url: string; token: string };
const open: { close(): void }[] = [];

async function start(options: Parameters<typeof startTestServer>[0] = {}) {
  test = await startTestServer(options);
  acme = { url: test.url, token: await token({ sub: "ann", companyId: "acme" }) };
}
afterEach(async () => {
  for (const one of open.splice(0)) one.close();
  await test?.[Symbol.asyncDispose]();
});

function follow<Item>(...args: Parameters<typeof subscribe>) {
  const opened = subscribe<Item>(...args);
  open.push(opened);
  return opened;
}
/** Where it stands is said at once. */
const joined = (one: ReturnType<typeof follow>) => one.until("the first item", () => one.items.length > 0);

describe("subscriptions", () => {
  beforeEach(() => start());

  it.for(["/api/graphql/stream", "/api/graphql"])(
    "on %s: a mutation reaches who is subscribed",
    async (path) => {
      const one = follow<TicketItem>(acme, TICKETS, {}, path);
      await joined(one);
      await run(acme, CREATE, { id: "t1", subject: "Broken" });
      await run(acme, UPDATE, { id: "t1", input: { status: "CLOSED" } });
      await one.until("both", () => one.items.filter(({ ticket }) => ticket).length === 2);
      expect(one.items.map(({ ticket }) => ticket)).toEqual([
        null,
        { id: "t1", subject: "Broken", status: "OPEN", assignee: null },
        { id: "t1", subject: "Broken", status: "CLOSED", assignee: null },
      ]);
      expect(new Set(one.items.map(({ cursor }) => cursor)).size).toBe(3);
    },
  );

  it("ticketUpdated of one ticket, and ticketMessage, show no other's", async () => {
    for (const id of ["t1", "t2"]) await run(acme, CREATE, { id, subject: id });
    const ticket = follow<TicketItem>(acme, TICKETS, { id: "t1" });
    const chat = follow<MessageItem>(acme, MESSAGES, { ticketId: "t1" });
    await joined(ticket);
    await joined(chat);
    for (const id of ["t2", "t1"]) {
      await run(acme, UPDATE, { id, input: { assignee: id } });
      await run(acme, POST, { ticketId: id, text: `of ${id}`, id: `m-${id}` });
    }
    await ticket.until("the update", () => ticket.items.length === 2);
    await chat.until("the message", () => chat.items.length === 2);
    expect(ticket.items[1]!.ticket).toMatchObject({ id: "t1", assignee: "t1" });
    expect(chat.items[1]!.message).toEqual({ id: "m-t1", ticketId: "t1", author: "ann", text: "of t1" });
  });

  it("resumes after a cut with the last cursor: nothing is missing and nothing twice", async () => {
    const first = follow<EventItem>(acme, EVENTS);
    await joined(first);
    await test.append("acme", 5);
    await first.until("five", () => first.items.length === 6);
    first.close();
    await waitFor("it to be left", () => test.hub.stats().totalConnections === 0);
    await test.append("acme", 5, { from: 5 });
    const second = follow<EventItem>(acme, EVENTS, { after: first.items.at(-1)!.cursor });
    await second.until("the rest", () => second.items.length >= 5);
    await test.append("acme", 1, { from: 10 });
    await second.until("the next", () => second.items.length >= 6);
    expect([...first.items, ...second.items].flatMap(({ event }) => event?.id ?? [])).toEqual(
      Array.from({ length: 11 }, (_, n) => String(n)),
    );
  });

  it("the same cursors are those of /stream/updates", async () => {
    await test.append("acme", 3);
    const stream = await test.open("/stream/updates?companyId=acme&lastEventId=0.0-0");
    await stream.until("id: ");
    await waitFor("three", () => [...stream.text().matchAll(/^id: /gm)].length === 3);
    const ids = [...stream.text().matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
    const one = follow<EventItem>(acme, EVENTS, { after: ids[0] });
    await one.until("two", () => one.items.length === 2);
    expect(one.items.map(({ cursor }) => cursor)).toEqual(ids.slice(1));
  });

  it("events of other types move the cursor only", async () => {
    const one = follow<EventItem>(acme, EVENTS, { types: ["wanted"] });
    await joined(one);
    await test.append("acme", 10, { type: "other" });
    await test.append("acme", 1, { from: 10, type: "wanted" });
    await one.until("the one", () => one.items.length === 2);
    expect(one.items[1]!.event).toMatchObject({ id: "10", type: "wanted" });
  });

  it("large numbers in data are as they came", async () => {
    const one = follow<EventItem>(acme, EVENTS);
    await joined(one);
    const response = await fetch(
      `${test.url}/api/graphql/stream?query=${encodeURIComponent('subscription { events(after: "0.0-0") { event { data } } }')}`,
      { headers: { authorization: `Bearer ${acme.token}`, accept: "text/event-stream" } },
    );
    await test.append("acme", 1, { data: '{"n":123456789012345678901234567890,"x":1.0,"e":1e400}' });
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes("123456")) break;
    }
    expect(text).toContain('"n":123456789012345678901234567890,"x":1.0,"e":1e400');
  });

  it("a subscription of a revoked subject ends within a second", async () => {
    const one = follow<EventItem>(acme, EVENTS);
    await joined(one);
    const startMs = performance.now();
    await test.rules.put({ kind: "subject-revoked", subject: "ann", atMs: Date.now() + 1_000 });
    await one.until("the end", () => one.completed);
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(one.errors).toEqual([expect.objectContaining({ extensions: { code: "revoked" } })]);
    expect(test.hub.stats().totalConnections).toBe(0);
  });

  it("one whose token ends is told to come back with another", async () => {
    const brief = { url: test.url, token: await token({ sub: "ann", companyId: "acme" }, "2s") };
    const one = follow<EventItem>(brief, EVENTS);
    await joined(one);
    await one.until("the end", () => one.completed);
    expect(one.errors[0]!.extensions).toEqual({ code: "reauthenticate", retryAfter: 0 });
  });

  it("on drain subscriptions are told to come back; later ones are refused", async () => {
    const one = follow<EventItem>(acme, EVENTS);
    await joined(one);
    await test.hub.drain(0);
    await one.until("the end", () => one.completed);
    expect(one.errors[0]!.extensions).toMatchObject({ code: "draining", retryAfter: expect.any(Number) });
    const late = follow<EventItem>(acme, EVENTS);
    await late.until("the end", () => late.completed);
    expect(late.errors[0]!.extensions).toMatchObject({ code: "draining", retryAfter: expect.any(Number) });
  });

  it("where the company may not stream, subscriptions are refused, and queries of tickets are not", async () => {
    await test.rules.changeFeatures("acme" as never, { streaming: false });
    const one = follow<EventItem>(acme, EVENTS);
    await one.until("the end", () => one.completed);
    expect(one.errors[0]!.extensions).toMatchObject({ code: "disabled", retryAfter: expect.any(Number) });
    expect(await run(acme, "{ tickets { items { id } } }")).toEqual({ data: { tickets: { items: [] } } });
    expect((await run(acme, "{ events { next } }")).errors![0]!.extensions!.code).toBe("disabled");
  });

  it("a cursor of another log is a gap of reason reset", async () => {
    const [cursor] = await test.append("acme", 1);
    const one = follow<EventItem>(acme, EVENTS, { after: "anotherepoch.1-0" });
    await joined(one);
    expect(one.items[0]).toMatchObject({
      event: null,
      gap: { reason: "reset", requested: "anotherepoch.1-0", resumedAt: cursor },
    });
  });

  it("a burst of 2,000 events reaches 50 subscriptions, once and in order", { timeout: 60_000 }, async () => {
    const all = Array.from({ length: 50 }, () =>
      follow<EventItem>(acme, `subscription { events { event { id } } }`),
    );
    for (const one of all) await joined(one);
    const startMs = performance.now();
    for (let from = 0; from < 2_000; from += 500) await test.append("acme", 500, { from });
    await waitFor("everything", () => all.every(({ items }) => items.length >= 2_001), { timeoutMs: 50_000 });
    console.log(`burst: ${Math.round(performance.now() - startMs)} ms`);
    const due = Array.from({ length: 2_000 }, (_, n) => String(n));
    for (const { items } of all) expect(items.flatMap(({ event }) => event?.id ?? [])).toEqual(due);
  });
});

describe("ticketUpdated", () => {
  it("after a gap, knows nothing from before it", async () => {
    const at = "2026-01-31T12:00:00.000Z";
    const base = { id: "t", subject: "s", requester: null, createdAt: at, updatedAt: at };
    const before = { ...base, status: "OPEN", priority: "NORMAL", assignee: null } as const;
    const after = { ...base, status: "CLOSED", priority: "URGENT", assignee: "bob" } as const;
    const record = (news: TicketNews) => encodeRecord(ticketEvent("acme" as CompanyId, news, "e"));
    const c = (n: number) => `e.${n}-0` as Cursor;
    async function* items(): AsyncGenerator<StreamItem> {
      yield { kind: "event", cursor: c(1), record: record({ kind: "created", ticket: before }) };
      yield { kind: "gap", cursor: c(5), gap: { reason: "expired", requested: c(1), resumedAt: c(6) } };
      const changes = { assignee: "bob" };
      const updated = { kind: "updated", ticket: after, changes, by: null } as const;
      yield { kind: "event", cursor: c(6), record: record(updated) };
    }
    const { Subscription } = subscriptionResolvers({
      live: { follow: async () => items() },
      books: { read: () => Promise.reject(), readTo: () => Promise.reject() },
    });
    const output = { signal: new AbortController().signal, cursor: undefined };
    const asked = { company: "acme", principal: {}, streaming: true, readsStreams: true, output };
    const got = await Subscription.ticketUpdated.subscribe({}, {}, { asked } as unknown as GraphqlContext);
    const tickets: unknown[] = [];
    for await (const item of got as AsyncIterable<{ ticket?: unknown }>) tickets.push(item.ticket);
    expect(tickets).toMatchObject([before, undefined, after]);
  });
});

describe("subscriptions of a server with limits", () => {
  it("over MAX_CONNECTIONS_PER_COMPANY they are busy", async () => {
    await start({ hub: { maxConnectionsPerCompany: 1 } });
    await joined(follow<EventItem>(acme, EVENTS));
    const late = follow<EventItem>(acme, EVENTS);
    await late.until("the end", () => late.completed);
    expect(late.errors[0]!.extensions).toMatchObject({ code: "busy", retryAfter: expect.any(Number) });
  });

  it("what has expired is a gap, then comes what is kept", async () => {
    await start({ maxEvents: 10 });
    const [first] = await test.append("acme", 1);
    for (let from = 1; from < 2_000; from += 500) await test.append("acme", 500, { from });
    const one = follow<EventItem>(acme, EVENTS, { after: first });
    await one.until("something behind the gap", () => one.items.length > 1);
    expect(one.items[0]).toMatchObject({ event: null, gap: { reason: "expired", requested: first } });
    expect(one.items[1]!.cursor).toBe((one.items[0]!.gap as { resumedAt: string }).resumedAt);
  });

  it("a quiet one has heartbeats, and the headers that keep proxies from holding it back", async () => {
    await start({ settings: { HEARTBEAT_MS: 100 } });
    const controller = new AbortController();
    const response = await fetch(
      `${test.url}/api/graphql/stream?query=${encodeURIComponent("subscription { events { cursor } }")}`,
      {
        headers: { authorization: `Bearer ${acme.token}`, accept: "text/event-stream" },
        signal: controller.signal,
      },
    );
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("cache-control")).toContain("no-transform");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split(":heartbeat\n\n").length > 3) break;
    }
    controller.abort();
    await waitFor("it to be left", () => test.hub.stats().totalConnections === 0);
  });

  it("a filtered one, beside events that are not for it, has its comments all the same", async () => {
    await start({ settings: { HEARTBEAT_MS: 200 } });
    const one = new AbortController();
    const query = encodeURIComponent('subscription { events(types: ["wanted"]) { cursor } }');
    const response = await fetch(`${test.url}/api/graphql/stream?query=${query}`, {
      headers: { authorization: `Bearer ${acme.token}`, accept: "text/event-stream" },
      signal: one.signal,
    });
    let from = 0;
    const feed = setInterval(() => void test.append("acme", 1, { from: from++, type: "other" }), 20);
    try {
      let text = "";
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.split(":heartbeat\n\n").length > 3) break;
      }
      expect(text.match(/event: next/g)).toHaveLength(1);
    } finally {
      clearInterval(feed);
      one.abort();
    }
  });

  it("an EventSource's own reconnect, with a ticket and then the cookie, resumes by Last-Event-ID", async () => {
    await start();
    const asked = await fetch(`${test.url}/stream/tickets`, {
      method: "POST",
      headers: { authorization: `Bearer ${acme.token}` },
    });
    const { ticket } = (await asked.json()) as { ticket: string };
    const query = encodeURIComponent("subscription { events { event { id } } }");
    const path = `${test.url}/api/graphql/stream?ticket=${ticket}&query=${query}`;
    const accept = "text/event-stream";
    const read = async (response: Response, until: string) => {
      let text = "";
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes(until)) break;
      }
      return text;
    };
    const first = await fetch(path, { headers: { accept } });
    const cookie = first.headers.get("set-cookie")!.split(";")[0]!;
    await test.append("acme", 1);
    const id = /id: (.*)\n.*"id":"0"/.exec(await read(first, '"id":"0"'))![1]!;
    await test.append("acme", 1, { from: 1 });
    const again = await fetch(path, { headers: { accept, cookie, "last-event-id": id } });
    const text = await read(again, '"id":"1"');
    expect(text).not.toContain('"id":"0"');
    expect((await fetch(path, { headers: { accept } })).status).toBe(401);
  });

  it("a client that reads nothing costs the others nothing, and is cut after IDLE_TIMEOUT_MS", async () => {
    await start({ settings: { IDLE_TIMEOUT_MS: 300 } });
    const query = encodeURIComponent("subscription { events { event { data } } }");
    const socket = connect(test.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      `GET /api/graphql/stream?query=${query} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer ${acme.token}\r\n\r\n`,
    );
    await waitFor("it to be in", () => test.hub.stats().totalConnections === 1);
    const other = follow<EventItem>(acme, "subscription { events { event { id } } }");
    await joined(other);
    const data = JSON.stringify({ text: "x".repeat(60_000) });
    for (let from = 0; from < 400; from += 20) await test.append("acme", 20, { from, data });
    await other.until("all of it", () => other.items.length === 401);
    await waitFor("the other to be cut", () => test.hub.stats().totalConnections === 1);
    socket.destroy();
  });
});
