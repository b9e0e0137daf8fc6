/**
 * `npm run screenshots`: the pictures of the README. Starts a server with its demo, leaves each page open until its charts are full, and writes
 * `docs/images/<page>-<1280|360>-<light|dark>.png`. Takes five minutes. Needs Chromium in PATH.
 *
 * Options: `--pages mq,events` (default: all), `--out <folder>`, `--watch-ms <n>` how long a page is left open (default 240000).
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Browser, Page } from "playwright-core";
import { launchChromium, startMillrace } from "../test/browser/browser.ts";
import { palettePng } from "./palette-png.ts";

/** What shows that the page is alive, and what to do before its picture is taken. */
interface Shot {
  readonly path: string;
  /** A selector that is there once data has come. */
  readonly alive: string;
  prepare?(page: Page): Promise<void>;
}

const SHOTS: Readonly<Record<string, Shot>> = {
  pipeline: { path: "/", alive: '[data-state="up"][data-flowing="true"]' },
  mq: { path: "/mq?companyId=", alive: ".recent li:nth-child(10)" },
  events: { path: "/events?companyId=", alive: "#keys tr:nth-child(20)" },
  services: { path: "/services", alive: "#log-list .line:nth-child(20)" },
  gpus: {
    path: "/gpus",
    alive: '#map [data-level="7"]',
    // One that works, instead of the first, which may rest.
    async prepare(page) {
      await page.locator('#map [data-level="7"]').last().click();
      await page.locator("#readings tr:nth-child(3)").waitFor();
    },
  },
  tickets: {
    path: "/tickets",
    alive: "#rows li:nth-child(3)",
    async prepare(page) {
      // One that somebody has written to.
      await page.locator("#rows li", { hasNotText: "No messages yet" }).locator("a").first().click();
      await page.locator("#entries li").first().waitFor();
    },
  },
};
const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];
const SCHEMES = ["light", "dark"] as const;
/** Milliseconds in which a page draws itself anew in another size or scheme. */
const SETTLE_MS = 1_500;

const { values } = parseArgs({
  options: {
    pages: { type: "string", default: Object.keys(SHOTS).join() },
    out: { type: "string", default: join(import.meta.dirname, "../docs/images") },
    "watch-ms": { type: "string", default: "240000" },
  },
});

async function open(browser: Browser, url: string, { path, alive }: Shot): Promise<Page> {
  // A context each: a browser opens six connections to one server, and each page keeps one or two.
  const context = await browser.newContext({ viewport: SIZES[0] ?? null, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(url + path);
  await page.locator('#connection[data-kind="live"]').waitFor();
  await page.locator(alive).first().waitFor();
  return page;
}

async function takeAll(name: string, page: Page): Promise<number> {
  let bytes = 0;
  for (const size of SIZES) {
    for (const colorScheme of SCHEMES) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(SETTLE_MS);
      const png = palettePng(await page.screenshot({ animations: "disabled" }));
      await writeFile(join(values.out, `${name}-${size.width}-${colorScheme}.png`), png);
      bytes += png.length;
    }
  }
  return bytes;
}

await using millrace = await startMillrace();
const browser = await launchChromium();
try {
  await mkdir(values.out, { recursive: true });
  const pages = await Promise.all(
    values.pages.split(",").map(async (name) => {
      const shot = SHOTS[name];
      if (!shot) throw new Error(`Cannot show page "${name}": expected one of ${Object.keys(SHOTS)}`);
      return { name, shot, page: await open(browser, millrace.url, shot) };
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, Number(values["watch-ms"])));
  let bytes = 0;
  for (const { name, shot, page } of pages) {
    await page.bringToFront();
    await shot.prepare?.(page);
    bytes += await takeAll(name, page);
  }
  console.log(`${pages.length * 4} pictures, ${Math.ceil(bytes / 1024)} KiB, in ${values.out}`);
} finally {
  await browser.close();
}
