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
  /** A page whose script makes HTML from strings, as Swagger UI does: all it is given is this server's own document. */
  readonly makesHtml?: boolean;
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
].join("; ");
const TRUSTED_TYPES = "; require-trusted-types-for 'script'";

const SECONDS_PER_YEAR = 31_536_000;

/** What the answer carries, whoever gives it. Pages are revalidated at every load (ETag, 304), hashed assets never. */
export function headersOf({
  contentType,
  immutable,
  makesHtml = false,
}: Omit<Asset, "body">): Readonly<Record<string, string>> {
  return {
    "content-type": contentType,
    "cache-control": immutable ? `public, max-age=${SECONDS_PER_YEAR}, immutable` : "no-cache",
    "content-security-policy": CONTENT_SECURITY_POLICY + (makesHtml ? "" : TRUSTED_TYPES),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
}

/** One route an asset, by its URL path; a folder is redirected to its `index.html`. */
export function pagesRoutes(assets: ReadonlyMap<string, Asset>): Hono {
  const app = new Hono();
  for (const [path, asset] of assets) {
    // A copy in memory of its own: a Response takes no view on a shared buffer.
    const bytes = new Uint8Array(asset.body);
    app.get(path, etag(), (c) => c.body(bytes, 200, headersOf(asset)));
    const folder = path.endsWith("/index.html") ? path.slice(0, -"/index.html".length) : "";
    if (folder === "") continue;
    for (const short of [folder, `${folder}/`]) app.get(short, (c) => c.redirect(path));
  }
  return app;
}
