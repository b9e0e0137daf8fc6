/** `POST /stream/renew`: an open connection goes on under a fresh token. */
import { Hono } from "hono";
import * as z from "zod";
import { bearerToken } from "../core/bearer.ts";
import { fitsCookie, formatCookie, readCookie } from "../core/cookie.ts";
import type { AccessRules } from "../ports/access-rules.ts";
import type { Gate } from "../ports/gate.ts";
import { NO_STORE } from "./answer.ts";
import { parseJsonBody, readBody } from "./json-body.ts";
import type { Operation } from "./operation.ts";
import { COMPANY } from "./query.ts";
import { createQuota } from "./quota.ts";

export interface RenewDeps {
  readonly gate: Gate;
  readonly rules: Pick<AccessRules, "announce">;
}

/** Each is announced to every instance. One subject may have hundreds of connections whose tokens end at the same time. */
const RENEWALS_A_MINUTE = 600;

const CONNECTION_ID = z.uuid("expected the connectionId of the event reauthenticate");

export const RENEW = {
  method: "post",
  path: "/stream/renew",
  id: "renewStream",
  tag: "Access",
  access: "bearer",
  summary: "An open stream goes on under this token",
  description:
    "What counts is the event `renewed` in the stream: whichever instance has the connection hears of it.",
  body: z
    .strictObject({
      connectionId: CONNECTION_ID,
      companyId: COMPANY.optional().meta({
        description: "Of the stream; with it a token that may not read it is 403 at once",
      }),
    })
    .meta({ examples: [{ connectionId: "3b241101-e2bb-4255-8caf-4136c566a962", companyId: "acme" }] }),
  answers: {
    202: {
      description: "Passed on",
      json: z.object({
        connectionId: CONNECTION_ID,
        expiresAt: z.iso.datetime().nullable().meta({ description: "When the token ends; null: never" }),
      }),
    },
  },
  problems: [400, 401, 403, 429, 503],
} as const satisfies Operation;

/**
 * Whichever instance holds the connection hears of it and says `renewed` in the stream. The answer is 202, because this one cannot know:
 * it may be another's, and it may be gone.
 */
export function renewRoutes({ gate, rules }: RenewDeps): Hono {
  const refuse = createQuota("renewals", RENEWALS_A_MINUTE);
  const app = new Hono();
  app.post(RENEW.path, async (c) => {
    const text = await readBody(c);
    const { principal } = await gate.admit(c.req.raw, "bearer");
    const refused = refuse(c, principal);
    if (refused !== undefined) return refused;
    const { connectionId, companyId } = parseJsonBody(c, text, RENEW.body);
    if (companyId !== undefined) gate.permit(principal, companyId);
    await rules.announce({ kind: "renewed", connection: connectionId, principal });
    const { expiresAtMs } = principal;
    const expiresAt = expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
    return c.json({ connectionId, expiresAt }, 202, { ...NO_STORE, ...freshCookie(c.req.raw, expiresAtMs) });
  });
  return app;
}

/** The cookie would end with the old token, and the browser's next reconnect with it. */
function freshCookie({ url, headers }: Request, expiresAtMs: number | undefined): Record<string, string> {
  const token = bearerToken(headers);
  if (token === undefined || !fitsCookie(token)) return {};
  if (readCookie(url, headers.get("cookie")) === undefined) return {};
  return { "set-cookie": formatCookie(url, token, expiresAtMs) };
}
