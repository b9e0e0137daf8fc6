/**
 * The cookie a browser's token is kept in once its ticket is redeemed (RFC 6265, and rfc6265bis for the prefix and the limits). Only a
 * browser's own reconnect needs it: it repeats the URL with the used ticket.
 */

import { isLoopback } from "./settings.ts";

/** Bytes of name and value that every browser keeps (rfc6265bis section 5.7). */
const MAX_COOKIE_BYTES = 4096;

/**
 * Behind the prefix a browser keeps it only from a secure page of this very host (rfc6265bis section 4.1.3.2), so that no sister host
 * can plant one. It is not to be had on loopback, where there is no TLS.
 */
const nameOf = (isSecure: boolean) => (isSecure ? "__Host-millrace" : "millrace");
/** By the host that was asked, as the browser named it: proxies hand it on, and end the TLS before it. */
const needsSecure = (url: string) => !isLoopback(new URL(url).hostname);

/** Whether browsers keep a token of this length. */
export function fitsCookie(token: string): boolean {
  return nameOf(true).length + token.length <= MAX_COOKIE_BYTES;
}

/**
 * A `Set-Cookie` in answer to a request of `url`, that no script reads, no other site sends, and that ends with the token.
 * `expiresAtMs` undefined: with the browser's session.
 */
export function formatCookie(
  url: string,
  token: string,
  expiresAtMs: number | undefined,
  nowMs = Date.now(),
): string {
  const isSecure = needsSecure(url);
  const maxAge =
    expiresAtMs === undefined ? "" : `; Max-Age=${Math.max(0, Math.floor((expiresAtMs - nowMs) / 1000))}`;
  return `${nameOf(isSecure)}=${token}; Path=/${maxAge}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** The token in the `Cookie` header of a request of `url`; undefined: none. */
export function readCookie(url: string, header: string | null): string | undefined {
  const prefix = `${nameOf(needsSecure(url))}=`;
  for (const pair of (header ?? "").split(";")) {
    const trimmed = pair.trim();
    if (trimmed.startsWith(prefix) && trimmed.length > prefix.length) return trimmed.slice(prefix.length);
  }
  return undefined;
}
