/** Where nobody has to say who asks, only this machine's own names are answered to. */
import type { MiddlewareHandler } from "hono";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { isLoopback } from "../core/settings.ts";

/**
 * A page of another site can have its own name resolved to 127.0.0.1, and is then of the same origin as what answers there (DNS rebinding); only
 * the name it was asked by tells it apart.
 */
export function loopbackOnly(): MiddlewareHandler {
  return async (c, next) => {
    const { hostname } = new URL(c.req.url);
    if (!isLoopback(hostname)) {
      throw new MillraceError(
        "forbidden",
        `Cannot answer to the host ${quote(hostname)}: with AUTH_MODE=none expected localhost, 127.0.0.1 or [::1]`,
      );
    }
    await next();
  };
}
