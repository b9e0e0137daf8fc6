import { describe, expect, test } from "vitest";
import { pagesRoutes } from "../../functions/routes/pages.ts";
import { buildPages } from "../../web/build.ts";

const assets = await buildPages();
const app = pagesRoutes(assets);
const LIVE_PAGES = ["/", "/mq", "/events", "/services", "/gpus", "/tickets"];
const PAGES = [...LIVE_PAGES, "/swagger/index.html"];
/** Compressed. */
const MAX_BYTES = 60_000;
const hashed = [...assets.keys()].filter((path) => !PAGES.includes(path));

const textOf = (path: string): string => new TextDecoder().decode(assets.get(path)?.body);

/** What a file names of the other files: a page by its links, a script by its imports. */
function namedBy(path: string): string[] {
  const links = /\b(?:src|href)="(\/assets\/[^"]+)"/g;
  const imports = /\b(?:from|import)\s*\(?"\.\/([^"]+)"/g;
  if (PAGES.includes(path)) return [...textOf(path).matchAll(links)].map((match) => match[1] ?? "");
  // Swagger UI is one file of half a megabyte: it imports none.
  if (!path.endsWith(".js") || path.startsWith("/assets/swagger-ui")) return [];
  return [...textOf(path).matchAll(imports)].map((match) => `/assets/${match[1]}`);
}

/** A page and everything that it loads. */
function loadedBy(page: string): Set<string> {
  const loaded = new Set([page]);
  for (const path of loaded) for (const name of namedBy(path)) loaded.add(name);
  return loaded;
}

async function zippedBytes(path: string): Promise<number> {
  const zipped = new Blob([new Uint8Array(assets.get(path)?.body ?? [])])
    .stream()
    .pipeThrough(new CompressionStream("gzip"));
  return (await new Response(zipped).arrayBuffer()).byteLength;
}

describe("buildPages", () => {
  test("the pages name assets that are there, and no other file", async () => {
    for (const page of PAGES) {
      const html = await (await app.request(page)).text();
      const links = [...html.matchAll(/\b(?:src|href)="([^"#]+)"/g)].map((match) => match[1] ?? "");
      expect(links.filter((link) => !link.startsWith("/"))).toEqual([]);
      expect(html).not.toMatch(/<style|style="|<script(?! (type="module" )?src)|\bon[a-z]+="/);
    }
    expect(new Set(PAGES.flatMap((page) => [...loadedBy(page)]))).toEqual(new Set(assets.keys()));
  });

  test.each(LIVE_PAGES)("%s: in the layout, marked in the navigation, one first heading", (page) => {
    const html = textOf(page);
    expect(html.match(/aria-current="page"/g)).toHaveLength(1);
    expect(html).toContain(`<a href="${page}" aria-current="page">`);
    expect(html.match(/<h1\b/g)).toHaveLength(1);
    expect(html).toMatch(/<title>[^<]+ · Millrace<\/title>/);
    expect(html).not.toContain("<!--page-->");
  });

  test("the same source gives the same names, each with its hash", async () => {
    expect([...(await buildPages()).keys()]).toEqual([...assets.keys()]);
    for (const path of hashed) expect(path).toMatch(/^\/assets\/[\w-]+-[0-9A-Za-z]{8}\.(js|css|svg)$/);
  });

  test.each(LIVE_PAGES)("%s: small with all it loads, 60 KB compressed", async (page) => {
    const loaded = [...loadedBy(page)];
    const bytes = (await Promise.all(loaded.map(zippedBytes))).reduce((sum, one) => sum + one, 0);
    expect(loaded.length).toBeGreaterThan(3);
    expect(bytes).toBeLessThan(MAX_BYTES);
  });
});

describe("pagesRoutes", () => {
  test.each([...PAGES, ...hashed])("%s: strict headers", async (path) => {
    const { status, headers } = await app.request(path);
    expect(status).toBe(200);
    // Swagger UI makes HTML from strings.
    const trustedTypes = path.startsWith("/swagger/") ? "" : "; require-trusted-types-for 'script'";
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        `base-uri 'none'; form-action 'none'; frame-ancestors 'none'${trustedTypes}`,
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("content-type")).toMatch(
      /^(text\/(html|css|javascript); charset=utf-8|image\/svg\+xml)$/,
    );
  });

  test("a page is asked for again each time, and costs nothing when it has not changed", async () => {
    const first = await app.request("/");
    expect(first.headers.get("cache-control")).toBe("no-cache");
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[^"]+"$/);
    const again = await app.request("/", { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe("");
  });

  test("a hashed asset is kept for good", async () => {
    for (const path of hashed) {
      const { headers } = await app.request(path);
      expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    }
  });

  test("HEAD answers without a body, another path not at all", async () => {
    const head = await app.request("/", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    expect((await app.request("/assets/live.js")).status).toBe(404);
    expect((await app.request("/assets/../package.json")).status).toBe(404);
  });
});
