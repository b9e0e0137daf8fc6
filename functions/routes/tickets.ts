/** `POST /stream/tickets`: a ticket for a token, for clients that can set no header (EventSource and WebSocket in a browser). */
import { Hono } from "hono";
import { bearerToken } from "../core/bearer.ts";
import { fitsCookie } from "../core/cookie.ts";
import { MillraceError } from "../core/errors.ts";
import { newTicket, sealToken, TICKET_MS, ticketId } from "../core/ticket.ts";
import type { Gate } from "../ports/gate.ts";
import type { Tickets } from "../ports/tickets.ts";
import { NO_STORE } from "./answer.ts";
import { createQuota } from "./quota.ts";

export interface TicketsDeps {
  readonly gate: Gate;
  readonly tickets: Pick<Tickets, "put">;
}

/** A page needs one a connection, and each takes room in the store for half a minute. */
const TICKETS_A_MINUTE = 30;

export function ticketsRoutes({ gate, tickets }: TicketsDeps): Hono {
  const refuse = createQuota("tickets", TICKETS_A_MINUTE);
  const app = new Hono();
  app.post("/stream/tickets", async (c) => {
    const { principal } = await gate.admit(c.req.raw, "bearer");
    // None where nobody is asked for one (AUTH_MODE=none).
    const token = bearerToken(c.req.raw.headers) ?? "";
    if (!fitsCookie(token)) {
      throw new MillraceError(
        "invalid-input",
        `Cannot make a ticket for a token of ${token.length} characters: a browser keeps no cookie of over 4096 bytes, expected a shorter one`,
      );
    }
    const refused = refuse(c, principal);
    if (refused !== undefined) return refused;
    const ticket = newTicket();
    await tickets.put(await ticketId(ticket), await sealToken(ticket, token), TICKET_MS);
    return c.json({ ticket, expiresIn: TICKET_MS / 1000 }, 200, NO_STORE);
  });
  return app;
}
