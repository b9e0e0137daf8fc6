/** A running server, reached as a browser would: through whatever is in front of it. */
import { randomBytes } from "node:crypto";
import { decodeJwt } from "jose";

export interface UrlTarget {
  /** Origin, and a base path if the server is mounted under one. */
  readonly url: string;
  /** Whose stream is opened. */
  readonly company: string;
  readonly token: string | undefined;
  /** The server's HEARTBEAT_MS, milliseconds. */
  readonly heartbeatMs: number;
  /** The server's CORS_ORIGINS, as far as they are known here. */
  readonly origins: readonly string[];
}

/** Milliseconds in which what the server sends at once has to be here, generous for a far server. */
export const AT_ONCE_MS = 3_000;
/** Milliseconds the way may add to a heartbeat. */
export const SLACK_MS = 2_000;
/** An origin that no server lets in. */
export const STRANGER = "https://doctor.invalid";

/** The company a token may read; without a token one that has no events, so that its stream is quiet. */
export function companyOf(token: string | undefined): string {
  if (token !== undefined) {
    try {
      const { companyId, companies } = decodeJwt<{ companyId?: unknown; companies?: unknown }>(token);
      const [first] = Array.isArray(companies) ? companies : [companyId];
      if (typeof first === "string") return first;
    } catch {}
  }
  return `doctor-${randomBytes(5).toString("hex")}`;
}

export function routeUrl(
  { url }: UrlTarget,
  path: string,
  query: Readonly<Record<string, string>> = {},
): URL {
  const route = new URL(`${url.replace(/\/+$/, "")}${path}`);
  for (const [name, value] of Object.entries(query)) route.searchParams.set(name, value);
  return route;
}

export function streamUrl(target: UrlTarget, query: Readonly<Record<string, string>> = {}): URL {
  return routeUrl(target, "/stream/updates", { companyId: target.company, ...query });
}

export function authorization({ token }: UrlTarget): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Seconds for a reader. */
export const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`;
