/** Pages whose streams may be quiet for as long as they like, while the log does not answer the server: what they show is said to be old. */
import type { Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { type DurableRedis, startDurableRedis } from "../faults/lib/redis.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import type { Millrace } from "./browser.ts";
import { usePages } from "./page-tests.ts";

const reason = missing("redis-server");

describe("a page whose server has lost its log", { timeout: 90_000 }, () => {
  let millrace: Millrace;
  let redis: DurableRedis;
  let page: Page;
  afterAll(() => redis?.[Symbol.asyncDispose]());
  usePages({
    async settings() {
      if (reason) return {};
      redis = await startDurableRedis();
      return { REDIS_URL: redis.url };
    },
    onStart: (started) => {
      millrace = started;
    },
    onPage: (opened) => {
      page = opened;
    },
  });
  const untilBadge = (wanted: string) =>
    waitFor(`the badge ${wanted}`, async () => (await page.textContent("#connection")) === wanted, {
      timeoutMs: 40_000,
    });
  const stale = (feed: string) => page.getAttribute(feed, "data-stale");

  test.for<[string, readonly string[]]>([
    ["/services", ["#services", "#log-list"]],
    ["/tickets?companyId=acme", ["#list"]],
    ["/gpus?companyId=acme", ["#map"]],
  ])("%s", async ([path, feeds], context) => {
    if (reason) context.skip(reason);
    await page.goto(`${millrace.url}${path}`);
    await untilBadge("Live");
    for (const feed of feeds) expect(await stale(feed)).toBe("false");
    await redis.kill();
    await untilBadge("Silent");
    for (const feed of feeds) expect(await stale(feed)).toBe("true");
    expect(await page.textContent("#notices")).toContain("the log does not answer the server");
    await redis.start();
    await untilBadge("Live");
    for (const feed of feeds) expect(await stale(feed)).toBe("false");
    expect(await page.textContent("#notices")).not.toContain("the log does not answer");
  });
});
