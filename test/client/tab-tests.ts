/** What the tests of tabs have in common: Chromium with the library, one Millrace for the file, and a profile anew for each test. */
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type Millrace, startMillrace } from "../browser/browser.ts";
import { missing } from "../support/servers.ts";
import { history, launchChromium, libraryScript, type Tab } from "./tabs.ts";

export interface TabTests {
  /** Of the server, beside those of `startMillrace`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Why the tests cannot run, beside a Chromium that is not there. */
  readonly missing?: string | undefined;
  /** Once, before the first test. */
  onStart(millrace: Millrace): void | Promise<void>;
  /** Before each test, with the library as `globalThis.millrace` of its tabs. It is closed after it. */
  onContext(context: BrowserContext): void;
}

/** To be called in a `describe`. Without Chromium all its tests are skipped, with the reason. */
export function useTabs({ settings, missing: lacking, onStart, onContext }: TabTests): void {
  const reason = missing("chromium") ?? lacking;
  let browser: Browser | undefined;
  let millrace: Millrace | undefined;
  let context: BrowserContext | undefined;
  let script = "";

  beforeAll(async () => {
    if (reason) return;
    [browser, millrace, script] = await Promise.all([
      launchChromium(),
      startMillrace(settings),
      libraryScript(),
    ]);
    await onStart(millrace);
  });
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });
  beforeEach(async (test) => {
    if (reason || !browser) return test.skip(reason ?? "Chromium did not start");
    context = await browser.newContext();
    await context.addInitScript({ content: script });
    onContext(context);
  });
  afterEach(async () => {
    await context?.close();
  });
}

/** Each event of the log behind the tab's first, once, in the order of the log, and no gap. Returns their cursors. */
export async function expectWhole(
  { url }: Pick<Millrace, "url">,
  tab: Tab,
  least: number,
  headers: Record<string, string> = {},
): Promise<string[]> {
  const { cursors, gaps } = await tab.untilHeard(least);
  const log = await history(url, cursors[0]!, { headers });
  expect(cursors.slice(1)).toEqual(log.slice(0, cursors.length - 1));
  expect(gaps).toEqual([]);
  return cursors;
}
