/** Tickets over GraphQL: the log is the store. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { type TicketNews, ticketEvent } from "../../functions/graphql/ticket-events.ts";
import { startTestApp, type TestApp, token } from "../routes/test-app.ts";
import type { Result } from "./graphql-support.ts";

let test: TestApp;
let ann: string;
beforeEach(async () => {
  test = await startTestApp();
  ann = await token({ sub: "ann", companyId: "acme" });
});
afterEach(() => test?.[Symbol.asyncDispose]());

async function run(query: string, variables: object = {}, as = ann): Promise<Result> {
  const body = JSON.stringify({ query, variables });
  return (await (await test.ask("/api/graphql", { method: "POST", body, token: as })).json()) as Result;
}
const CREATE = `mutation ($input: CreateTicketInput!, $id: ID) { createTicket(input: $input, id: $id) { id subject status priority requester assignee createdAt updatedAt } }`;
const UPDATE = `mutation ($id: ID!, $input: UpdateTicketInput!, $updateId: ID) { updateTicket(id: $id, input: $input, updateId: $updateId) { id subject status assignee } }`;
const POST = `mutation ($ticketId: ID!, $text: String!, $id: ID) { postTicketMessage(ticketId: $ticketId, text: $text, id: $id) { id author text } }`;
const READ = `query ($id: ID!) { ticket(id: $id) { id subject status priority requester assignee messages { id author text } } }`;
const codeOf = ({ errors }: Result) => errors?.[0]?.extensions?.code;

describe("tickets", () => {
  it("are created, updated, written to and read; authors are who the token says", async () => {
    const created = await run(CREATE, { input: { subject: "Broken", priority: "HIGH" } });
    const { id, ...rest } = created.data!.createTicket as { id: string };
    expect(rest).toEqual({
      ...{ subject: "Broken", status: "OPEN", priority: "HIGH", requester: "ann", assignee: null },
      ...{ createdAt: expect.any(String), updatedAt: expect.any(String) },
    });
    await run(UPDATE, { id, input: { status: "PENDING", assignee: "bob" } });
    const bob = await token({ sub: "bob", companyId: "acme" });
    await run(POST, { ticketId: id, text: "On it", id: "m1" }, bob);
    expect((await run(READ, { id })).data!.ticket).toEqual({
      ...{ id, subject: "Broken", status: "PENDING", priority: "HIGH", requester: "ann", assignee: "bob" },
      messages: [{ id: "m1", author: "bob", text: "On it" }],
    });
  });

  it("are events of the company's log, and a retry is stored once", async () => {
    for (let times = 0; times < 2; times++) {
      await run(CREATE, { input: { subject: "Broken" }, id: "t" });
      await run(UPDATE, { id: "t", input: { status: "CLOSED" }, updateId: "u" });
      await run(POST, { ticketId: "t", text: times === 0 ? "first" : "second", id: "m" });
    }
    const history = await test.ask("/stream/history?companyId=acme");
    const { events } = (await history.json()) as {
      events: { type: string; subject: string; source: string }[];
    };
    expect(events.map(({ type, source, subject }) => [type, source, subject])).toEqual([
      ["ticket.created", "/graphql/tickets", "t"],
      ["ticket.updated", "/graphql/tickets", "t"],
      ["ticket.message", "/graphql/tickets", "t"],
    ]);
    expect((await run(READ, { id: "t" })).data!.ticket).toMatchObject({
      status: "CLOSED",
      messages: [{ id: "m", text: "first" }],
    });
  });

  it("an id of an update, or of a message, is one ticket's: the same one of another ticket is another", async () => {
    for (const id of ["a", "b"]) {
      await run(CREATE, { input: { subject: id }, id });
      const updated = await run(UPDATE, { id, input: { assignee: `for ${id}` }, updateId: "u" });
      expect(updated.data!.updateTicket).toMatchObject({ id, assignee: `for ${id}` });
      const posted = await run(POST, { ticketId: id, text: `to ${id}`, id: "m" });
      expect(posted.data!.postTicketMessage).toMatchObject({ id: "m", text: `to ${id}` });
    }
    for (const id of ["a", "b"]) {
      expect((await run(READ, { id })).data!.ticket).toMatchObject({
        assignee: `for ${id}`,
        messages: [{ id: "m", text: `to ${id}` }],
      });
    }
  });

  it("asked again after so many others that it was forgotten: the answer is what is stored", async () => {
    await run(CREATE, { input: { subject: "first" }, id: "t" });
    await run(POST, { ticketId: "t", text: "first", id: "m" });
    const stamp = new Date().toISOString();
    const base = { subject: "s", status: "OPEN", priority: "LOW", requester: null, assignee: null } as const;
    const append = (count: number, news: (id: string) => TicketNews) =>
      test.log.append(
        Array.from({ length: count }, (_, n) => ticketEvent("acme" as CompanyId, news(`o${n}`), `o${n}`)),
      );
    const text = "x".repeat(8_000);
    const posted = { ticketId: "t", author: null, text, at: stamp };
    await append(200, (id) => ({ kind: "message", message: { ...posted, id } }));
    const again = await run(POST, { ticketId: "t", text: "second", id: "m" });
    expect(again.data!.postTicketMessage).toMatchObject({ id: "m", text: "first" });
    const ticket = { ...base, createdAt: stamp, updatedAt: stamp };
    await append(2_100, (id) => ({ kind: "created", ticket: { ...ticket, id } }));
    expect((await run(READ, { id: "t" })).data!.ticket).toBeNull();
    expect((await run(CREATE, { input: { subject: "second" }, id: "t" })).data!.createTicket).toMatchObject({
      ...{ id: "t", subject: "first" },
    });
  });

  it("changed by two at the same time have both changes", async () => {
    await run(CREATE, { input: { subject: "s" }, id: "t" });
    await Promise.all([
      run(UPDATE, { id: "t", input: { status: "CLOSED" } }),
      run(UPDATE, { id: "t", input: { assignee: "bob" } }),
      run(UPDATE, { id: "t", input: { subject: "other" } }),
    ]);
    expect((await run(READ, { id: "t" })).data!.ticket).toMatchObject({
      ...{ status: "CLOSED", assignee: "bob", subject: "other" },
    });
  });

  it("one reads what another instance wrote, and what many wrote at once", async () => {
    const other = await startTestApp({ deps: { log: test.log } });
    try {
      await Promise.all(
        Array.from({ length: 20 }, (_, n) => run(CREATE, { input: { subject: "s" }, id: `t${n}` })),
      );
      const asked = await other.ask("/api/graphql?query=%7Btickets(first:100)%7Bitems%7Bid%7D%7D%7D", {
        token: ann,
      });
      const { data } = (await asked.json()) as { data: { tickets: { items: unknown[] } } };
      expect(data.tickets.items).toHaveLength(20);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it("pages are the newest first, filtered by status", async () => {
    for (let n = 0; n < 5; n++) await run(CREATE, { input: { subject: "s" }, id: `t${n}` });
    await run(UPDATE, { id: "t2", input: { status: "CLOSED" } });
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data } = await run(
        "query ($after: String) { tickets(status: OPEN, first: 2, after: $after) { items { id } next } }",
        { after },
      );
      const { items, next } = data!.tickets as { items: { id: string }[]; next: string | null };
      seen.push(...items.map(({ id }) => id));
      after = next;
    } while (after !== null);
    expect(seen).toEqual(["t4", "t3", "t1", "t0"]);
  });

  it("pages of those touched last have those with a message or change last first, and go on", async () => {
    for (let n = 0; n < 6; n++) await run(CREATE, { input: { subject: "s" }, id: `t${n}` });
    await run(UPDATE, { id: "t1", input: { status: "CLOSED" } });
    await run(POST, { ticketId: "t3", text: "hello" });
    const page = async (after: string | null, status: string | null = null) => {
      const query =
        "query ($after: String, $status: TicketStatus) { tickets(order: TOUCHED, status: $status, first: 2, after: $after) { items { id } next } }";
      const { data } = await run(query, { after, status });
      const { items, next } = data!.tickets as { items: { id: string }[]; next: string | null };
      return { ids: items.map(({ id }) => id), next };
    };
    const first = await page(null);
    expect(first.ids).toEqual(["t3", "t1"]);
    const second = await page(first.next);
    expect(second.ids).toEqual(["t5", "t4"]);
    // Touched meanwhile: it is no more behind the page before.
    await run(POST, { ticketId: "t0", text: "hello" });
    expect(await page(second.next)).toEqual({ ids: ["t2"], next: null });
    expect((await page(null, "CLOSED")).ids).toEqual(["t1"]);
    expect(codeOf(await run('{ tickets(order: TOUCHED, after: "x") { next } }'))).toBe("invalid-input");
  });

  it("changes say what was changed by whom, in the order of the log; a retry is one", async () => {
    await run(CREATE, { input: { subject: "s" }, id: "t" });
    const mia = await token({ sub: "mia", companyId: "acme" });
    for (let times = 0; times < 2; times++) {
      await run(UPDATE, { id: "t", input: { status: "CLOSED" }, updateId: "u1" }, mia);
    }
    await run(UPDATE, { id: "t", input: { assignee: null, subject: "other" }, updateId: "u2" });
    const changes = "changes(last: 2) { id at by changes }";
    const all = (await run(`{ ticket(id: "t") { ${changes} } }`)).data!.ticket;
    expect(all).toEqual({
      changes: [
        { id: "u1", at: expect.any(String), by: "mia", changes: { status: "CLOSED" } },
        { id: "u2", at: expect.any(String), by: "ann", changes: { assignee: null, subject: "other" } },
      ],
    });
    const { data } = await run('{ ticket(id: "t") { changes(last: 1) { id } } }');
    expect(data!.ticket).toEqual({ changes: [{ id: "u2" }] });
    const { events } = (await (await test.ask("/stream/history?companyId=acme")).json()) as {
      events: { type: string; data: { by?: unknown } }[];
    };
    const updated = events.filter(({ type }) => type === "ticket.updated");
    expect(updated.map(({ data }) => data.by)).toEqual(["mia", "ann"]);
    for (const given of ["0", "101"]) {
      expect(codeOf(await run(`{ ticket(id: "t") { changes(last: ${given}) { id } } }`))).toBe(
        "invalid-input",
      );
    }
  });

  it("messages page back to the first, far beyond what is held in memory", async () => {
    await run(CREATE, { input: { subject: "s" }, id: "t" });
    await run(CREATE, { input: { subject: "s" }, id: "other" });
    const at = new Date().toISOString();
    const text = "x".repeat(7_000);
    // Others' events in between, so that neighbours in the talk are none in the log.
    for (let from = 0; from < 300; from += 50) {
      const posts = Array.from({ length: 50 }, (_, n) => {
        const id = `m${from + n}`;
        const message = { id, ticketId: "t", author: null, text: `${id} ${text}`, at };
        return ticketEvent("acme" as CompanyId, { kind: "message", message }, id);
      });
      await test.log.append(posts);
      await test.append("acme", 20, { from });
    }
    const read = async (before: string | undefined, last = 70) => {
      const query =
        'query ($last: Int, $before: ID) { ticket(id: "t") { messages(last: $last, before: $before) { id text } } }';
      const { data, errors } = await run(query, { last, before });
      expect(errors).toBeUndefined();
      const { messages } = data!.ticket as { messages: { id: string; text: string }[] };
      for (const { id, text } of messages) expect(text.startsWith(`${id} x`)).toBe(true);
      return messages.map(({ id }) => id);
    };
    const seen: string[] = [];
    for (;;) {
      const page = await read(seen[0]);
      seen.unshift(...page);
      if (page.length < 70) break;
    }
    expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => `m${n}`));
    expect(await read("m0")).toEqual([]);
    // In a list, and of a ticket of another's message.
    const list = (before: string) =>
      run(`{ tickets { items { id messages(last: 1, before: "${before}") { id } } } }`);
    expect(codeOf(await list("m5"))).toBe("invalid-input");
    expect(codeOf(await run('{ ticket(id: "other") { messages(before: "m5") { id } } }'))).toBe(
      "invalid-input",
    );
    const many = [1, 2, 3].map(
      (n) => `a${n}: ticket(id: "t") { messages(last: 100, before: "m10${n}") { id } }`,
    );
    expect(codeOf(await run(`{ ${many.join(" ")} }`))).toBe("too-large");
    expect(codeOf(await run(`{ ${many.slice(1).join(" ")} }`))).toBeUndefined();
  });

  it("a message touches its ticket: one that is written to is not forgotten for others", async () => {
    await run(CREATE, { input: { subject: "s" }, id: "old" });
    await run(CREATE, { input: { subject: "s" }, id: "written-to" });
    const stamp = new Date().toISOString();
    const base = { subject: "s", status: "OPEN", priority: "LOW", requester: null, assignee: null } as const;
    const append = (from: number, count: number) =>
      test.log.append(
        Array.from({ length: count }, (_, n) => {
          const ticket = { ...base, id: `o${from + n}`, createdAt: stamp, updatedAt: stamp };
          return ticketEvent("acme" as CompanyId, { kind: "created", ticket }, ticket.id);
        }),
      );
    await append(0, 1_000);
    await run(POST, { ticketId: "written-to", text: "hello" });
    await append(1_000, 1_100);
    expect((await run(READ, { id: "old" })).data!.ticket).toBeNull();
    expect((await run(READ, { id: "written-to" })).data!.ticket).not.toBeNull();
  });

  it("a book reads on from its cursor over pages of other events", async () => {
    await run(CREATE, { input: { subject: "s" }, id: "t" });
    for (let from = 0; from < 1_500; from += 500) await test.append("acme", 500, { from });
    await run(POST, { ticketId: "t", text: "late" });
    expect((await run(READ, { id: "t" })).data!.ticket).toMatchObject({ messages: [{ text: "late" }] });
  });

  it("an update is enough where the creation has expired", async () => {
    await test[Symbol.asyncDispose]();
    test = await startTestApp({ maxEvents: 10 });
    for (const id of ["t", "forgotten"]) await run(CREATE, { input: { subject: "s" }, id });
    for (let from = 0; from < 600; from += 5) {
      await test.append("acme", 5, { from });
      await run(READ, { id: "t" });
    }
    // Of a fresh instance: this one's book knows both still.
    const fresh = await startTestApp({ deps: { log: test.log } });
    try {
      await run(UPDATE, { id: "t", input: { status: "PENDING" } });
      const ask = async (id: string) => {
        const body = JSON.stringify({ query: READ, variables: { id } });
        const answer = await fresh.ask("/api/graphql", { method: "POST", body, token: ann });
        return ((await answer.json()) as Result).data!.ticket;
      };
      expect(await ask("t")).toMatchObject({ subject: "s", status: "PENDING", requester: "ann" });
      expect(await ask("forgotten")).toBeNull();
    } finally {
      await fresh[Symbol.asyncDispose]();
    }
  });

  it("events that only look like a ticket's are none", async () => {
    const event = (source: string, type: string, data: object, id: string) =>
      parseEvent({ companyId: "acme", source, id, type, dataText: JSON.stringify(data) });
    const ticket = {
      id: "forged",
      subject: "s",
      status: "OPEN",
      priority: "LOW",
      requester: null,
      assignee: null,
    };
    const whole = { ticket: { ...ticket, createdAt: "x", updatedAt: "x" } };
    await test.log.append([
      event("/nats/tickets", "ticket.created", whole, "1"),
      event("/graphql/tickets", "ticket.created", { ticket }, "2"),
      event("/graphql/tickets", "ticket.other", whole, "3"),
    ]);
    expect(await run("{ tickets { items { id } } }")).toEqual({ data: { tickets: { items: [] } } });
  });

  it.each([
    ["a subject over 200 characters", CREATE, { input: { subject: "x".repeat(201) } }],
    ["an empty subject", CREATE, { input: { subject: " " } }],
    ["an id with a slash", CREATE, { input: { subject: "s" }, id: "a/b" }],
    ["a message over 8,000 characters", POST, { ticketId: "t", text: "x".repeat(8_001) }],
    ["a message to no ticket", POST, { ticketId: "none", text: "x" }],
    ["an update of no ticket", UPDATE, { id: "none", input: { status: "CLOSED" } }],
    ["a page of none", "{ tickets(first: 0) { next } }", {}],
    ["a page of 101", "query ($n: Int) { tickets(first: $n) { next } }", { n: 101 }],
    ["a cursor that is none", "query ($c: Cursor) { events(after: $c) { next } }", { c: "x" }],
    ["a type that is none", 'query { events(types: ["No"]) { next } }', {}],
  ])("%s is refused, with the code invalid-input", async (_, query, variables) => {
    expect(codeOf(await run(query, variables))).toBe("invalid-input");
  });

  it("events are pages of the log, as /stream/history has them", async () => {
    const cursors = await test.append("acme", 30);
    await test.append("acme", 1, { from: 30, type: "rare", data: '{"a":1}' });
    const all = `query ($types: [String!], $after: Cursor, $first: Int) { events(types: $types, after: $after, first: $first) { items { cursor id type source time data } next more gap { reason } } }`;
    const first = (await run(all, { first: 10 })).data!.events as {
      items: { cursor: string }[];
      next: string;
      more: boolean;
    };
    expect(first.items.map(({ cursor }) => cursor)).toEqual(cursors.slice(0, 10));
    expect(first).toMatchObject({ next: cursors[9], more: true });
    const rare = (await run(all, { types: ["rare"], after: first.next })).data!.events;
    expect(rare).toMatchObject({
      items: [{ id: "30", type: "rare", source: "/test", data: { companyId: "acme", a: 1 } }],
      more: false,
      gap: null,
    });
    const gap = (await run(all, { after: "another.1-0", first: 1 })).data!.events;
    expect(gap).toMatchObject({ items: [{ id: "0" }], gap: { reason: "reset" } });
  });

  it("nobody from outside writes what is the operator's own, although ops reads it", async () => {
    const ops = await token({ sub: "o", roles: ["ops"] });
    for (const company of ["_operations", "_logs"]) {
      const ask = async (query: string) => {
        const body = JSON.stringify({ query });
        const answer = await test.ask(`/api/graphql?companyId=${company}`, {
          method: "POST",
          body,
          token: ops,
        });
        return (await answer.json()) as Result;
      };
      expect(codeOf(await ask("{ tickets { next } }"))).toBeUndefined();
      expect(codeOf(await ask('mutation { createTicket(input: { subject: "s" }) { id } }'))).toBe(
        "forbidden",
      );
    }
  });

  it("a store that does not answer is said to be away, and not where it is", async () => {
    const away = await startTestApp({
      deps: {
        log: Object.assign(Object.create(test.log), {
          read: () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.1:6379")),
        }),
      },
    });
    try {
      const asked = await away.ask("/api/graphql?query=%7Btickets%7Bnext%7D%7D", { token: ann });
      const text = await asked.text();
      expect(JSON.parse(text).errors).toEqual([
        expect.objectContaining({ message: "Internal", extensions: { code: "internal" } }),
      ]);
      expect(text).not.toMatch(/10\.0\.0\.1|at /);
    } finally {
      await away[Symbol.asyncDispose]();
    }
  });
});
