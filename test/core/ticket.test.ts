import { describe, expect, it } from "vitest";
import {
  mayBeTicket,
  newTicket,
  openToken,
  sealToken,
  TICKET_MS,
  ticketId,
} from "../../functions/core/ticket.ts";

const TOKEN = "header.payload.signature-é";

describe("a ticket", () => {
  it("newTicket: of no two the same secret, in characters that a URL takes as they are", () => {
    const tickets = Array.from({ length: 1_000 }, () => newTicket());
    expect(new Set(tickets.map((ticket) => ticket.slice(0, 40))).size).toBe(1_000);
    for (const ticket of tickets) {
      expect(encodeURIComponent(ticket)).toBe(ticket);
      expect(ticket).toMatch(/^[A-Za-z0-9_-]{48}$/);
    }
  });

  it("mayBeTicket: while it may be redeemed, by clocks that differ by as much again; not what has another form", () => {
    const nowMs = Math.floor(Date.now() / 1000) * 1000;
    const ticket = newTicket(nowMs);
    for (const laterMs of [-60_000, 0, TICKET_MS, 2 * TICKET_MS]) {
      expect(mayBeTicket(ticket, nowMs + laterMs)).toBe(true);
    }
    expect(mayBeTicket(ticket, nowMs + 2 * TICKET_MS + 1)).toBe(false);
    for (const other of [
      "",
      "x",
      ticket.slice(1),
      `${ticket}A`,
      `${ticket.slice(1)}.`,
      `${ticket.slice(1)}é`,
    ]) {
      expect(mayBeTicket(other, nowMs)).toBe(false);
    }
  });

  it("ticketId: the same for the same ticket, of which it shows nothing", async () => {
    const [one, other] = [newTicket(), newTicket()];
    expect(await ticketId(one)).toBe(await ticketId(one));
    expect(await ticketId(one)).not.toBe(await ticketId(other));
    expect(await ticketId(one)).not.toContain(one.slice(0, 8));
  });

  it("sealToken: nobody reads the token without the ticket, or changes it", async () => {
    const ticket = newTicket();
    const sealed = await sealToken(ticket, TOKEN);
    expect(await openToken(ticket, sealed)).toBe(TOKEN);
    expect(Buffer.from(sealed, "base64url").toString("latin1")).not.toContain("payload");
    expect(await openToken(newTicket(), sealed)).toBeUndefined();
    expect(await openToken(ticket, `A${sealed.slice(1)}`)).toBeUndefined();
    expect(await openToken(ticket, sealed.slice(0, -4))).toBeUndefined();
    expect(await openToken(ticket, "")).toBeUndefined();
    // Which is what a ticket for nobody's token holds.
    expect(await openToken(ticket, await sealToken(ticket, ""))).toBe("");
  });
});
