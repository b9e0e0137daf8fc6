/**
 * Ten minutes at 200 events a second in one tab, and the page's memory does not grow. By default as many events come as fast as they go
 * through; `SOAK_SECONDS=600` takes the time.
 */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { type Millrace, startMillrace } from "../browser/browser.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { launchChromium, libraryScript, openTab } from "./tabs.ts";

const reason = missing("chromium");
const SECONDS = Number(process.env.SOAK_SECONDS ?? 0);
const EVENTS = 200 * (SECONDS || 600);
/** Measured after these parts of all events: the first has filled what is filled once. */
const PARTS = [0.25, 0.5, 0.75, 1];
/** Bytes that garbage collection may leave more at the end than after the first quarter. */
const MOST_GROWTH = 1_500_000;

let browser: Browser;
let millrace: Millrace;

beforeAll(async () => {
  if (reason) return;
  [browser, millrace] = await Promise.all([launchChromium(), startMillrace()]);
});
afterAll(async () => {
  await browser?.close();
  await millrace?.[Symbol.asyncDispose]();
});

test(
  `subscribe takes ${EVENTS} events in order, and holds on to none`,
  async (context) => {
    if (reason) return context.skip(reason);
    const contextOfTab = await browser.newContext();
    await contextOfTab.addInitScript({ content: await libraryScript() });
    const { page } = await openTab(contextOfTab, millrace.url);
    await page.evaluate(() => {
      const { millrace } = globalThis as unknown as { millrace: typeof import("../../web/client/index.ts") };
      const soak = { count: 0, wrong: 0, gaps: 0, kind: "" };
      Object.assign(globalThis, { soak });
      millrace.subscribe<{ n: number }>({
        url: "/",
        companyId: "soak",
        onEvent({ data }) {
          if (data.n !== soak.count) soak.wrong++;
          soak.count++;
        },
        onGap: () => soak.gaps++,
        onState: ({ kind }) => {
          soak.kind = kind;
        },
      });
    });
    const soak = () =>
      page.evaluate("soak") as Promise<{ count: number; wrong: number; gaps: number; kind: string }>;
    await waitFor("live", async () => (await soak()).kind === "live");
    const devtools = await contextOfTab.newCDPSession(page);
    await devtools.send("HeapProfiler.enable");
    const usedBytes = async (): Promise<number> => {
      await devtools.send("HeapProfiler.collectGarbage");
      return (await devtools.send("Runtime.getHeapUsage")).usedSize;
    };

    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    const began = Date.now();
    const used: number[] = [];
    let sent = 0;
    for (const part of PARTS) {
      while (sent < EVENTS * part) {
        // At most so many are on their way: what the page holds is measured, not what is on the wire.
        const { count } = await soak();
        const due = SECONDS ? ((Date.now() - began) / 1000) * 200 : count + 3000;
        for (const least = Math.min(due, EVENTS * part); sent < least; sent++) {
          const data = { companyId: "soak", type: "soak.tick", n: sent, text: "x".repeat(100) };
          await producer.send(Buffer.from(JSON.stringify(data)));
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await waitFor(`${sent} events`, async () => (await soak()).count === sent, { timeoutMs: 60_000 });
      used.push(await usedBytes());
    }
    await producer.close();
    const rate = Math.round(EVENTS / ((Date.now() - began) / 1000));
    console.log(`soak: ${EVENTS} events at ${rate}/s; bytes used ${used.join(", ")}`);
    expect(await soak()).toMatchObject({ count: EVENTS, wrong: 0, gaps: 0 });
    expect(used.at(-1)! - used[0]!).toBeLessThan(MOST_GROWTH);
  },
  (SECONDS + 180) * 1000,
);
