/**
 * Bundles the pages in memory: what `web/` holds, minified, under names that carry a hash of the content. Nothing is written, so there
 * is no build step to forget. Takes about 100 ms, once, at the start.
 *
 * Run as a program it writes them to `dist/`, for runtimes that have no file system to build from: `pages.js` holds the pages, `assets.js`
 * what they load, and `static/` the same once more as files, for Workers' static assets (see wrangler.toml): in the bundle of a Worker
 * each isolate would parse them before its first answer.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { build, stop } from "esbuild";
import { type Asset, headersOf } from "../functions/routes/pages.ts";

/** A page is an HTML file of `pages/`: a whole document, or what is inside the `main` of `kit/layout.html`, after what belongs to the head. */
const PAGES: Readonly<Record<string, string>> = {
  "/": "index.html",
  "/mq": "mq.html",
  "/events": "events.html",
  "/services": "services.html",
  "/gpus": "gpus.html",
  "/tickets": "tickets.html",
  "/swagger/index.html": "swagger.html",
};

/** Files of a package, minified already: they are taken as they are. */
const PACKAGED: Readonly<Record<string, string>> = {
  "swagger-ui-bundle.js": import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js"),
  "swagger-ui.css": import.meta.resolve("swagger-ui-dist/swagger-ui.css"),
};

/** Pages whose scripts make HTML from strings. */
const MAKE_HTML = new Set(["/swagger/index.html"]);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".html": "text/html; charset=utf-8",
};

/** A reference of a page to a file of `web/` or of a package, not to a URL path, a fragment or another site. */
const REFERENCE = /\b(src|href)="([\w.-]+(?:\/[\w.-]+)*\.(?:ts|js|css|svg))"/g;
/** The head of a page's own, in the order of the files. */
const HEAD = /^<title>(.*)<\/title>\n((?:<(?:link|script) .*\n)*)\n/;

/** URL path to asset. @throws esbuild's BuildFailure when a module does not bundle, an Error when a page names a file that is not there. */
export async function buildPages(): Promise<ReadonlyMap<string, Asset>> {
  const folder = import.meta.dirname;
  const layout = await readFile(join(folder, "kit/layout.html"), "utf8");
  const pages = await Promise.all(
    Object.entries(PAGES).map(async ([path, file]) => {
      const html = await readFile(join(folder, "pages", file), "utf8");
      return [path, html.startsWith("<!doctype") ? html : layOut(layout, path, html)] as const;
    }),
  );
  const files = new Set(
    pages.flatMap(([, html]) => [...html.matchAll(REFERENCE)].map((match) => match[2] ?? "")),
  );

  const { outputFiles, metafile } = await build({
    absWorkingDir: folder,
    entryPoints: [...files].filter((file) => !(file in PACKAGED)),
    outdir: "assets",
    entryNames: "[name]-[hash]",
    loader: { ".svg": "copy" },
    format: "esm",
    target: "es2022",
    bundle: true,
    // What several pages share is loaded once.
    splitting: true,
    chunkNames: "shared-[hash]",
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
  for (const [file, body] of await readPackaged()) {
    const [extension, hash] = [extname(file), createHash("sha256").update(body).digest("hex").slice(0, 8)];
    const name = `${basename(file, extension)}-${hash}${extension}`;
    names.set(file, name);
    assets.set(`/assets/${name}`, { contentType: CONTENT_TYPES[extension] ?? "", body, immutable: true });
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
      ...(MAKE_HTML.has(path) ? { makesHtml: true } : {}),
    });
  }
  return assets;
}

/** The page in the layout, itself marked in the navigation. @throws when it does not begin with its title and what it loads. */
function layOut(layout: string, path: string, html: string): string {
  const [head, title, links = ""] = HEAD.exec(html) ?? [];
  if (head === undefined)
    throw new Error(`Cannot build page "${path}": expected a <title>, its links, and an empty line`);
  return layout
    .replace("<title>Millrace</title>", () => `<title>${title} · Millrace</title>`)
    .replace("</head>", () => `${links}</head>`)
    .replace(`<a href="${path}">`, () => `<a href="${path}" aria-current="page">`)
    .replace("<!--page-->", () => html.slice(head.length));
}

function readPackaged(): Promise<[string, Buffer][]> {
  return Promise.all(
    Object.entries(PACKAGED).map(
      async ([file, url]): Promise<[string, Buffer]> => [file, await readFile(new URL(url))],
    ),
  );
}

type Pages = Iterable<readonly [string, Asset]>;

/** The pages as a module that exports `pages`, a map like that of {@link buildPages}. @throws when an asset is not text. */
export function pagesModule(pages: Pages): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const entries = Array.from(pages, ([path, { body, ...asset }]) => {
    const text = JSON.stringify(decoder.decode(body));
    return `  [${JSON.stringify(path)}, { ...${JSON.stringify(asset)}, body: encoder.encode(${text}) }],`;
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

/** Headers of static assets, as Workers read them from the file `_headers`. */
function headersFile(pages: Pages): string {
  return Array.from(pages, ([path, asset]) => {
    const lines = Object.entries(headersOf(asset)).map(([name, value]) => `  ${name}: ${value}\n`);
    return `${path}\n${lines.join("")}`;
  }).join("");
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "../dist");
  const pages = [...(await buildPages())];
  const assets = pages.filter(([, { immutable }]) => immutable);
  const put = async (path: string, content: string | Uint8Array) => {
    await mkdir(dirname(path), { recursive: true });
    // In one step: somebody else may be reading it.
    const unfinished = `${path}-${process.pid}`;
    await writeFile(unfinished, content);
    await rename(unfinished, path);
  };
  await put(join(folder, "pages.js"), pagesModule(pages.filter(([, { immutable }]) => !immutable)));
  await put(join(folder, "assets.js"), pagesModule(assets));
  const files = join(folder, "static");
  for (const [path, { body }] of assets) await put(join(files, path), body);
  await put(join(files, "_headers"), headersFile(assets));
  // Those of earlier versions; what others are just writing has another ending.
  const names = new Set(assets.map(([path]) => basename(path)));
  for (const name of await readdir(join(files, "assets"))) {
    const isOld = /-[0-9a-zA-Z]{8}\.(js|css|svg)$/.test(name) && !names.has(name);
    if (isOld) await rm(join(files, "assets", name), { force: true });
  }
}
