import { describe, expect, test } from "vitest";
import { pagesRoutes } from "../../functions/routes/pages.ts";
import { buildPages } from "../../web/build.ts";

const assets = await buildPages();
const app = pagesRoutes(assets);
const PAGES = ["/", "/swagger/index.html"];
/** Of Swagger UI: half a megabyte compressed, for those who open it. */
const PACKAGED = /^\/assets\/swagger-ui/;
const hashed = [...assets.keys()].filter((path) => !PAGES.includes(path));

describe("buildPages", () => {
  test("the pages name assets that are there, and no other file", async () => {
    const named = new Set<string>();
    for (const page of PAGES) {
      const html = await (await app.request(page)).text();
      const links = [...html.matchAll(/\b(?:src|href)="([^"#]+)"/g)].map((match) => match[1] ?? "");
      for (const link of links) if (link.startsWith("/assets/")) named.add(link);
      expect(links.filter((link) => !link.startsWith("/"))).toEqual([]);
      expect(html).not.toMatch(/<style|style="|<script(?! (type="module" )?src)|\bon[a-z]+="/);
    }
    expect(named).toEqual(new Set(hashed));
  });

  test("the same source gives the same names", async () => {
    expect([...(await buildPages()).keys()]).toEqual([...assets.keys()]);
  });

  test("what a page loads stays small: 60 KB compressed", async () => {
    let bytes = 0;
    for (const [path, { body }] of assets) {
      if (PACKAGED.test(path)) continue;
      const zipped = new Blob([new Uint8Array(body)]).stream().pipeThrough(new CompressionStream("gzip"));
      bytes += (await new Response(zipped).arrayBuffer()).byteLength;
    }
    expect(bytes).toBeLessThan(60_000);
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
