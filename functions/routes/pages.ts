/** The live pages and what they load, as static answers. Where they come from is the entry's: see web/build.ts. */
import { Hono } from "hono";
import { etag } from "hono/etag";

/** One answer. */
export interface Asset {
  /** With its charset. */
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Its path carries a hash of its content, so it may be kept for good. */
  readonly immutable: boolean;
}

/**
 * Scripts and styles of this origin alone, and no HTML made from a string (Trusted Types): what is in an event is text, whatever it holds.
 * CSP Level 3; Trusted Types.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const SECONDS_PER_YEAR = 31_536_000;

/** One route an asset, by its URL path. Pages are revalidated at every load (ETag, 304), hashed assets never. */
export function pagesRoutes(assets: ReadonlyMap<string, Asset>): Hono {
  const app = new Hono();
  for (const [path, { contentType, body, immutable }] of assets) {
    // A copy in memory of its own: a Response takes no view on a shared buffer.
    const bytes = new Uint8Array(body);
    app.get(path, etag(), (c) =>
      c.body(bytes, 200, {
        "content-type": contentType,
        "cache-control": immutable ? `public, max-age=${SECONDS_PER_YEAR}, immutable` : "no-cache",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
      }),
    );
  }
  return app;
}
