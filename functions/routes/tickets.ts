/** `POST /stream/tickets`: a ticket for a token, for clients that can set no header (EventSource and WebSocket in a browser). */
import { Hono } from "hono";
import * as z from "zod";
import { bearerToken } from "../core/bearer.ts";
import { fitsCookie } from "../core/cookie.ts";
import { MillraceError } from "../core/errors.ts";
import { newTicket, sealToken, TICKET_MS, ticketId } from "../core/ticket.ts";
import type { Gate } from "../ports/gate.ts";
import type { Tickets } from "../ports/tickets.ts";
import { NO_STORE } from "./answer.ts";
import type { Operation } from "./operation.ts";
import { createQuota } from "./quota.ts";

export interface TicketsDeps {
  readonly gate: Gate;
  readonly tickets: Pick<Tickets, "put">;
}

/** A page needs one a connection, and each takes room in the store for half a minute. */
const TICKETS_A_MINUTE = 30;

export const TAKE_TICKET = {
  method: "post",
  path: "/stream/tickets",
  id: "takeTicket",
  tag: "Access",
  access: "bearer",
  summary: "A ticket for a token",
  description: "For clients that can set no header: EventSource and WebSocket in a browser, as `?ticket=`.",
  answers: {
    200: {
      description: "A ticket, for one use",
      json: z.object({
        ticket: z.string(),
        expiresIn: z
          .int()
          .min(1)
          .meta({ description: "Seconds", examples: [30] }),
      }),
    },
  },
  problems: [400, 401, 429, 503],
} as const satisfies Operation;

export function ticketsRoutes({ gate, tickets }: TicketsDeps): Hono {
  const refuse = createQuota("tickets", TICKETS_A_MINUTE);
  const app = new Hono();
  app.post(TAKE_TICKET.path, async (c) => {
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
