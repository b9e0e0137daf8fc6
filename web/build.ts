/**
 * Bundles the pages in memory: what `web/` holds, minified, under names that carry a hash of the content. Nothing is written, so there
 * is no build step to forget. Takes about 50 ms, once, at the start.
 *
 * Run as a program it writes them to `dist/pages.js`, for runtimes that have no file system to build from (see wrangler.toml).
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { build, stop } from "esbuild";
import type { Asset } from "../functions/routes/pages.ts";

/** A page is an HTML file here; what its `src` and `href` name here is bundled for it. */
const PAGES: Readonly<Record<string, string>> = { "/": "index.html" };

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".html": "text/html; charset=utf-8",
};

/** A reference of a page to a file beside it, not to a URL path, a fragment or another site. */
const REFERENCE = /\b(src|href)="([\w.-]+\.(?:ts|css|svg))"/g;

/** URL path to asset. @throws esbuild's BuildFailure when a module does not bundle, an Error when a page names a file that is not there. */
export async function buildPages(): Promise<ReadonlyMap<string, Asset>> {
  const folder = import.meta.dirname;
  const pages = await Promise.all(
    Object.entries(PAGES).map(
      async ([path, file]) => [path, await readFile(join(folder, file), "utf8")] as const,
    ),
  );
  const files = new Set(
    pages.flatMap(([, html]) => [...html.matchAll(REFERENCE)].map((match) => match[2] ?? "")),
  );

  const { outputFiles, metafile } = await build({
    absWorkingDir: folder,
    entryPoints: [...files],
    outdir: "assets",
    entryNames: "[name]-[hash]",
    loader: { ".svg": "copy" },
    format: "esm",
    target: "es2022",
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  // esbuild works in a child process that would stay as long as this one.
  await stop();

  const names = new Map(
    Object.entries(metafile.outputs).map(([output, { entryPoint, inputs }]) => [
      entryPoint ?? Object.keys(inputs)[0] ?? "",
      basename(output),
    ]),
  );
  const assets = new Map<string, Asset>();
  for (const { path, contents } of outputFiles) {
    assets.set(`/assets/${basename(path)}`, {
      contentType: CONTENT_TYPES[extname(path)] ?? "application/octet-stream",
      body: contents,
      immutable: true,
    });
  }
  for (const [path, html] of pages) {
    const linked = html.replace(REFERENCE, (_, attribute, file) => {
      const name = names.get(file);
      if (!name) throw new Error(`Cannot build page "${path}": ${file} was not bundled, expected it in web/`);
      return `${attribute}="/assets/${name}"`;
    });
    assets.set(path, {
      contentType: CONTENT_TYPES[".html"] ?? "",
      body: new TextEncoder().encode(linked),
      immutable: false,
    });
  }
  return assets;
}

/** The pages as a module that exports `pages`, a map like that of {@link buildPages}. @throws when an asset is not text. */
export function pagesModule(pages: ReadonlyMap<string, Asset>): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const entries = Array.from(pages, ([path, { contentType, body, immutable }]) => {
    const text = JSON.stringify(decoder.decode(body));
    return `  [${JSON.stringify(path)}, { contentType: ${JSON.stringify(contentType)}, body: encoder.encode(${text}), immutable: ${immutable} }],`;
  });
  return [
    "// Written by web/build.ts.",
    "const encoder = new TextEncoder();",
    "export const pages = new Map([",
    ...entries,
    "]);",
    "",
  ].join("\n");
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "../dist");
  await mkdir(folder, { recursive: true });
  // In one step: somebody else may be reading it.
  const unfinished = join(folder, `pages-${process.pid}.js`);
  await writeFile(unfinished, pagesModule(await buildPages()));
  await rename(unfinished, join(folder, "pages.js"));
}
