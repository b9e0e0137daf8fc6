/** What is uploaded to Cloudflare: made by wrangler as a deployment makes it, without an account or a network. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wrangler } from "../support/workerd.ts";

/** Bytes after gzip, which is what Cloudflare counts (3 MB on the free plan); each isolate parses them before its first answer. */
const MAX_GZIP_BYTES = 300_000;

/** Packages that may be inside. What is for Node alone has no business at the edge. */
const PACKAGES = [
  ...["@upstash/redis", "hono", "jose", "uncrypto", "yaml", "zod"],
  // GraphQL: yoga, and what it is made of.
  ...[
    "graphql",
    "graphql-yoga",
    "@graphql-yoga/logger",
    "@graphql-yoga/subscription",
    "@graphql-tools/executor",
  ],
  ...["@graphql-tools/merge", "@graphql-tools/schema", "@graphql-tools/utils", "@envelop/core"],
  ...["@envelop/instrumentation", "@envelop/types", "@repeaterjs/repeater", "@whatwg-node/disposablestack"],
  ...["@whatwg-node/events", "@whatwg-node/fetch", "@whatwg-node/promise-helpers", "@whatwg-node/server"],
  ...["cross-inspect", "lru-cache"],
];

describe("the bundle of wrangler", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bundle-"));
  beforeAll(async () => {
    await wrangler("deploy", "--dry-run", "--outdir", folder, "--metafile", join(folder, "meta.json"));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it(`is at most ${MAX_GZIP_BYTES / 1000} KB after gzip`, () => {
    const bytes = gzipSync(readFileSync(join(folder, "index.js"))).byteLength;
    expect(bytes).toBeLessThan(MAX_GZIP_BYTES);
    // Or something that is large has gone, and the limit says nothing any more.
    expect(bytes).toBeGreaterThan(MAX_GZIP_BYTES / 2);
  });

  it("holds our neutral code and the few packages it needs, and of Node node:zlib alone", () => {
    const { inputs, outputs } = JSON.parse(readFileSync(join(folder, "meta.json"), "utf8")) as {
      inputs: Record<string, unknown>;
      outputs: Record<string, { imports: { path: string; external?: boolean }[] }>;
    };
    const files = Object.keys(inputs).map((path) => path.replace(/^.*node_modules\//, "node_modules/"));
    const packages = files.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
    expect(PACKAGES).toEqual(expect.arrayContaining([...new Set(packages)]));
    const own = files.filter((path) => !path.startsWith("node_modules/"));
    expect(
      own.filter((path) => /functions\/(entries|runtimes\/(?!zlib\.ts))|bridge\/|bin\//.test(path)),
    ).toEqual([]);
    const imports = Object.values(outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
    expect(new Set(imports)).toEqual(new Set(["cloudflare:workers", "node:zlib"]));
  });

  it.each(["staging", "production"])(
    "is made for %s, with the bindings and secrets there are without it",
    async (env) => {
      const output = await wrangler("deploy", "--dry-run", "--env", env);
      expect(output).toContain("env.COMPANY_HUB (CompanyHub)");
      const { unstable_readConfig: readConfig } = await import("wrangler");
      const [plain, named] = [
        readConfig({ config: "wrangler.toml" }),
        readConfig({ config: "wrangler.toml", env }),
      ];
      expect(named.secrets).toEqual(plain.secrets);
      expect(named.durable_objects).toEqual(plain.durable_objects);
      expect(named.migrations).toEqual(plain.migrations);
      expect(named.compatibility_flags).toEqual(plain.compatibility_flags);
    },
    120_000,
  );

  it("asks for no later runtime than the one that is installed", async () => {
    const { unstable_readConfig: readConfig } = await import("wrangler");
    const { compatibilityDate } = createRequire(createRequire(import.meta.url).resolve("wrangler"))(
      "workerd",
    ) as {
      compatibilityDate: string;
    };
    const wanted = readConfig({ config: "wrangler.toml" }).compatibility_date ?? "";
    // Dates as text order as dates do.
    expect([wanted, compatibilityDate].toSorted()).toEqual([wanted, compatibilityDate]);
  });

  it("has types that are those of wrangler.toml", async () => {
    await wrangler("types", "--include-runtime=false", "--check");
  }, 120_000);
});
