/** createTicketBooks, where many ask at the same time. */
import { describe, expect, it } from "vitest";
import type { CompanyId } from "../../functions/core/ids.ts";
import { createTicketBooks } from "../../functions/graphql/ticket-books.ts";
import { type TicketNews, ticketEvent } from "../../functions/graphql/ticket-events.ts";
import { startTestApp } from "../routes/test-app.ts";

const ACME = "acme" as CompanyId;

const created = (id: string): TicketNews => {
  const base = { subject: "s", status: "OPEN", priority: "LOW", requester: null, assignee: null } as const;
  return { kind: "created", ticket: { ...base, id, createdAt: NOW, updatedAt: NOW } };
};
const NOW = "2026-01-31T12:00:00.000Z";

describe("createTicketBooks", () => {
  it("read, a slow answer of the log that another read has overtaken takes nothing back", async () => {
    await using test = await startTestApp();
    const held = Promise.withResolvers<void>();
    let isFirst = true;
    const books = createTicketBooks({
      log: {
        tip: (company) => test.log.tip(company),
        async read(company, after, limit) {
          const result = await test.log.read(company, after, limit);
          if (!isFirst) return result;
          isFirst = false;
          await held.promise;
          return result;
        },
      },
    });
    const open = created("t") as TicketNews & { kind: "created" };
    await test.log.append([ticketEvent(ACME, open, "t")]);
    const slow = books.read(ACME);
    const closed: TicketNews = {
      ...{ kind: "updated", ticket: open.ticket, changes: { status: "CLOSED" }, by: null },
    };
    await test.log.append([ticketEvent(ACME, closed, "u")]);
    const book = await books.read(ACME);
    const cursor = book.cursor();
    expect(book.ticket("t")!.status).toBe("CLOSED");
    held.resolve();
    expect((await slow).cursor()).toBe(cursor);
    expect((await slow).ticket("t")!.status).toBe("CLOSED");
  });

  it("read, 2,100 tickets: those that were not touched for longest are forgotten", async () => {
    await using test = await startTestApp();
    const books = createTicketBooks({ log: test.log });
    const events = Array.from({ length: 2_100 }, (_, n) => ticketEvent(ACME, created(`t${n}`), `t${n}`));
    await test.log.append(events);
    const book = await books.read(ACME);
    expect([...book.tickets()]).toHaveLength(2_000);
    expect(book.ticket("t99")).toBeUndefined();
    expect(book.ticket("t100")).toBeDefined();
  });

  it("read, messages of over a mebibyte in all: the oldest are forgotten", async () => {
    await using test = await startTestApp();
    const books = createTicketBooks({ log: test.log });
    const text = "x".repeat(8_000);
    const events = Array.from({ length: 200 }, (_, n) => {
      const message = { id: `m${n}`, ticketId: "t", author: null, text, at: NOW };
      return ticketEvent(ACME, { kind: "message", message }, message.id);
    });
    await test.log.append(events);
    const book = await books.read(ACME);
    expect(book.chars()).toBeLessThanOrEqual(1.1 * 1024 * 1024);
    expect(book.message("t", "m0")).toBeUndefined();
    expect(book.messages("t", 2)).toMatchObject([{ id: "m198" }, { id: "m199" }]);
    // Where the log has them is known.
    expect(book.messages("t", 1, "m1")).toEqual([expect.stringMatching(/^\w+\.\d+-\d+$/)]);
    expect(book.messages("t", 5, "m0")).toEqual([]);
    expect(book.messages("t", 5, "none")).toBeUndefined();
  });

  // On a busy machine the read may take longer than others wait for it.
  it("readTo, 200 ask for the same at once: the log is read once, and not at all by whoever comes later", {
    retry: 2,
  }, async () => {
    await using test = await startTestApp();
    let reads = 0;
    const books = createTicketBooks({
      log: {
        tip: (company) => test.log.tip(company),
        async read(company, after, limit) {
          reads++;
          await new Promise((resolve) => setTimeout(resolve, 5));
          return test.log.read(company, after, limit);
        },
      },
    });
    await books.read(ACME);
    reads = 0;
    const cursor = (await test.log.append([ticketEvent(ACME, created("t"), "t")]))[0]!.cursor;
    const all = await Promise.all(Array.from({ length: 200 }, () => books.readTo(ACME, cursor)));
    for (const book of all) expect(book.ticket("t")).toBeDefined();
    await books.readTo(ACME, cursor);
    expect(reads).toBe(1);
  });

  it("readTo, somebody's read that never ends holds nobody else up", async () => {
    await using test = await startTestApp();
    let isFirst = true;
    const books = createTicketBooks({
      log: {
        tip: (company) => test.log.tip(company),
        read(company, after, limit) {
          if (!isFirst) return test.log.read(company, after, limit);
          isFirst = false;
          return new Promise(() => {});
        },
      },
    });
    const cursor = (await test.log.append([ticketEvent(ACME, created("t"), "t")]))[0]!.cursor;
    void books.read(ACME);
    expect((await books.readTo(ACME, cursor)).ticket("t")).toBeDefined();
  });
});
