/** What every WebSocket route asks before it lets a client in. A refusal is the HTTP status of the upgrade. */
import type { Context } from "hono";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { methodNotAllowed, problem } from "./answer.ts";

/** Why the request cannot be upgraded, whoever asks; undefined: it can. */
export function refuseUpgrade(c: Context): Response | undefined {
  if (c.req.method !== "GET") return methodNotAllowed(c, "GET");
  if (c.req.header("upgrade")?.toLowerCase() === "websocket") return undefined;
  return problem(c, 426, `Cannot ${c.req.method} ${c.req.path}: expected a WebSocket (RFC 6455)`, {
    upgrade: "websocket",
    connection: "Upgrade",
  });
}

/**
 * A browser lets any page open a WebSocket to anywhere and sends cookies along; no CORS holds it back (RFC 6455 section 10.2). So the
 * page's origin must be one of `origins`, or this server's own host. Who sends no Origin is no browser.
 * @throws MillraceError `forbidden`.
 */
export function requireOrigin(c: Context, origins: readonly string[]): void {
  const origin = c.req.header("origin");
  if (origin === undefined || origins.includes(origin)) return;
  const host = c.req.header("host") ?? new URL(c.req.url).host;
  if (URL.canParse(origin) && new URL(origin).host === host.toLowerCase()) return;
  throw new MillraceError(
    "forbidden",
    `Cannot open a WebSocket for a page of ${quote(origin)}: expected this server's own host, or an origin named in CORS_ORIGINS`,
  );
}
