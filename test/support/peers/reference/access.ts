/** Tickets, cookies and renewals of the reference server. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Channel } from "./channel.ts";
import type { Defect } from "./defects.ts";

/** Milliseconds before its end at which a token is asked for anew. */
const ASK_MS = 60_000;
/** The longest a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** When a token ends, milliseconds since 1970. */
export function endOf(token: string): number {
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString() || "{}") as {
    exp?: number;
  };
  return (exp ?? 0) * 1_000;
}

export function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (.*)$/.exec(headers.authorization ?? "")?.[1];
}

/** `isKnown`: whether a token lets anybody in. */
export function createAccess(defect: Defect | undefined, isKnown: (token: string) => boolean) {
  const tickets = new Map<string, string>();
  const open = new Map<string, (token: string) => void>();

  const json = (response: ServerResponse, status: number, value: object) =>
    response
      .writeHead(status, {
        "content-type": "application/json",
        "cache-control": "no-store",
        ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      })
      .end(JSON.stringify(value));
  const refuse = (response: ServerResponse, status: number, message: string) =>
    json(response, status, { error: String(status), message });

  return {
    /** The token of a ticket or a cookie, and the header that says so. */
    tokenOf(
      request: IncomingMessage,
      query: URLSearchParams,
    ): { token: string; setCookie?: string } | undefined {
      const ticket = query.get("ticket") ?? "";
      const redeemed = tickets.get(ticket);
      if (redeemed !== undefined) {
        if (defect !== "ticket-twice") tickets.delete(ticket);
        const attributes = `Path=/; SameSite=Strict${defect === "cookie-for-scripts" ? "" : "; HttpOnly"}`;
        return { token: redeemed, setCookie: `reference=${redeemed}; ${attributes}` };
      }
      const cookie = /(?:^|;\s*)reference=([^;]*)/.exec(request.headers.cookie ?? "")?.[1];
      return cookie === undefined || defect === "cookie-forgotten" ? undefined : { token: cookie };
    },

    /** Answers a POST; false: it is for none of these routes. */
    post(path: string, request: IncomingMessage, response: ServerResponse): boolean {
      if (path !== "/stream/tickets" && path !== "/stream/renew") return false;
      const token = bearerOf(request) ?? "";
      if (!isKnown(token) && !(path === "/stream/renew" && defect === "renewal-unchecked")) {
        refuse(response, 401, "no token");
        return true;
      }
      if (path === "/stream/tickets") {
        const ticket = randomUUID();
        tickets.set(ticket, token);
        json(response, 200, { ticket, expiresIn: 30 });
        return true;
      }
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const [, connectionId] = /"connectionId":"([^"]+)"/.exec(body) ?? [];
        if (connectionId === undefined) return refuse(response, 400, "no connectionId");
        if (defect !== "renewal-ignored") open.get(connectionId)?.(token);
        json(response, 202, { connectionId, expiresAt: new Date(endOf(token)).toISOString() });
      });
      return true;
    },

    /** Asks for a fresh token in time, and ends the channel with the last one. */
    watch(channel: Channel, token: string): void {
      const connectionId = randomUUID();
      let timer: NodeJS.Timeout | undefined;
      const say = (name: string, current: string) => {
        const expiresAt = new Date(endOf(current)).toISOString();
        channel.write(`event: ${name}\ndata: ${JSON.stringify({ connectionId, expiresAt })}\n\n`);
      };
      const follow = (current: string) => {
        clearTimeout(timer);
        const leftMs = endOf(current) - Date.now();
        if (defect === "outlives-token" || leftMs > MAX_TIMER_MS) return;
        timer = setTimeout(() => channel.end(4401), leftMs);
      };
      open.set(connectionId, (fresh) => {
        say("renewed", fresh);
        follow(fresh);
      });
      channel.onClose(() => {
        clearTimeout(timer);
        open.delete(connectionId);
      });
      if (endOf(token) - Date.now() < ASK_MS) say("reauthenticate", token);
      follow(token);
    },
  };
}

export type ReferenceAccess = ReturnType<typeof createAccess>;
