import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { waitFor } from "../support/wait.ts";
import type { Millrace } from "./browser.ts";
import { lowContrast, overflow } from "./looks.ts";
import { usePages } from "./page-tests.ts";

describe("page /events", () => {
  let millrace: Millrace;
  let page: Page;
  usePages({
    async onStart(started) {
      millrace = started;
      await produce(3, "desk.stapler.moved");
      await produce(2, "desk.stapler.lost");
      await produce(7, "desk.lamp.lit");
      await produce(1, "chair.turned");
    },
    onPage: (opened) => {
      page = opened;
    },
  });

  /** Of a company that nobody else writes to, unless told otherwise. */
  const open = async (query = "") => {
    await page.goto(`${millrace.url}/events?companyId=initech${query}`);
    await untilBadge("Live");
  };
  const untilBadge = (text: string) =>
    waitFor(`badge ${text}`, async () => (await textOf("#connection")).startsWith(text), {
      timeoutMs: 25_000,
    });
  const textOf = async (selector: string): Promise<string> =>
    (await page.locator(selector).textContent()) ?? "";
  const keys = () => page.locator("#keys .key").allTextContents();
  const untilKeys = (...expected: string[]) =>
    waitFor(`keys ${expected.join(" ")}`, async () => (await keys()).join() === expected.join());
  const cells = (key: string) => page.locator("#keys tr", { hasText: key }).locator("td.number");
  const parameter = (name: string) => new URL(page.url()).searchParams.get(name);

  async function produce(count: number, type: string): Promise<void> {
    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    for (let n = 0; n < count; n++) {
      await producer.send(Buffer.from(JSON.stringify({ companyId: "initech", type, n })));
    }
    await producer.close();
  }

  test("shows each key's numbers and their sums, and follows them; rows stay the elements they are", async () => {
    await open();
    await untilKeys("chair.turned", "desk.lamp.lit", "desk.stapler.lost", "desk.stapler.moved");
    expect(await cells("desk.lamp.lit").allTextContents()).toEqual([
      "7",
      "7",
      expect.stringMatching(/^[07]$/),
    ]);
    expect(await textOf("#sum-total")).toBe("13");
    expect(await textOf("#sum-today")).toBe("13");
    expect(await textOf("#sum-keys")).toBe("4");
    expect(await textOf("#zone")).toBe("Asia/Karachi");
    expect(await textOf("#as-of")).toMatch(/^as of \d\d:\d\d:\d\d$/);
    const name = await page.locator("#minutes [role=img]").getAttribute("aria-label");
    expect(name).toMatch(/^Events a minute over the last hour, all keys; now events \d+$/);

    const row = page.locator("#keys tr", { hasText: "chair.turned" });
    await page.evaluate('for (const row of document.querySelectorAll("#keys tr")) row.dataset.mark = "kept"');
    await produce(4, "chair.turned");
    await produce(1, "bench.sat");
    await untilKeys("bench.sat", "chair.turned", "desk.lamp.lit", "desk.stapler.lost", "desk.stapler.moved");
    await waitFor("the sum", async () => (await textOf("#sum-total")) === "18");
    expect(await cells("chair.turned").first().textContent()).toBe("5");
    expect(await row.getAttribute("data-mark")).toBe("kept");
    // The line of a row on the screen.
    expect(await row.locator("path").getAttribute("d")).toMatch(/^M0 /);
  });

  test("the demo's about 50 keys move by themselves", async () => {
    await page.goto(`${millrace.url}/events`);
    await waitFor("15 keys", async () => (await keys()).length >= 15, { timeoutMs: 25_000 });
    const before = await textOf("#sum-total");
    await waitFor("another sum", async () => (await textOf("#sum-total")) !== before);
    await page.getByRole("button", { name: "auth.#" }).click();
    await waitFor("keys of auth alone", async () => {
      const shown = await keys();
      return shown.length > 0 && shown.every((key) => key.startsWith("auth."));
    });
  });

  test("the filter: examples, patterns typed, what is wrong with one, and the URL", async () => {
    await open();
    await untilKeys("bench.sat", "chair.turned", "desk.lamp.lit", "desk.stapler.lost", "desk.stapler.moved");
    const filter = page.getByLabel("Filter by topic pattern");
    await filter.fill("*.stapler.* chair.#");
    await untilKeys("chair.turned", "desk.stapler.lost", "desk.stapler.moved");
    expect(await textOf("#sum-total")).toBe("10");
    expect(await textOf("#count")).toBe("3 of 5");
    expect(parameter("filter")).toBe("*.stapler.* chair.#");
    expect(await textOf("#charted")).toBe("all keys of the filter");

    await filter.fill("desk.lamp.# <img/src=x> de*");
    await untilKeys("desk.lamp.lit");
    expect(await textOf("#filter-problem")).toContain('"<img/src=x>"');
    expect(await textOf("#filter-problem")).toContain("whole words");
    expect(await filter.getAttribute("aria-invalid")).toBe("true");
    expect(await page.locator("#filter-problem img").count()).toBe(0);

    await page.getByRole("button", { name: "*.image.*" }).click();
    await waitFor("no key", async () => (await textOf("#empty")) === "No key fits the filter.");
    expect(await filter.inputValue()).toBe("*.image.*");

    await page.goto(`${millrace.url}/events?companyId=initech&filter=desk.stapler.%23&key=desk.stapler.lost`);
    await untilKeys("desk.stapler.lost", "desk.stapler.moved");
    expect(await textOf("#charted")).toBe("desk.stapler.lost");
  });

  test("by keyboard: sorting by a column and back, charting a key", async () => {
    await open();
    await untilKeys("bench.sat", "chair.turned", "desk.lamp.lit", "desk.stapler.lost", "desk.stapler.moved");
    expect(await page.locator("#by-key").getAttribute("aria-sort")).toBe("ascending");
    const sort = page.getByRole("columnheader", { name: "All time" });
    await sort.getByRole("button").focus();
    await page.keyboard.press("Enter");
    await untilKeys("desk.lamp.lit", "chair.turned", "desk.stapler.moved", "desk.stapler.lost", "bench.sat");
    expect(await sort.getAttribute("aria-sort")).toBe("descending");
    expect(await page.locator("[aria-sort]").count()).toBe(1);
    expect(parameter("sort")).toBe("-total");

    // A row that moves keeps the focus that is in it.
    const key = page.getByRole("button", { name: "bench.sat" });
    await key.focus();
    await produce(20, "bench.sat");
    await untilKeys("bench.sat", "desk.lamp.lit", "chair.turned", "desk.stapler.moved", "desk.stapler.lost");
    expect(await textOf(":focus")).toBe("bench.sat");

    await page.keyboard.press("Space");
    await waitFor("the chart of the key", async () => (await textOf("#charted")) === "bench.sat");
    expect(await key.getAttribute("aria-pressed")).toBe("true");
    expect(parameter("key")).toBe("bench.sat");
    const name = await page.locator("#minutes [role=img]").getAttribute("aria-label");
    expect(name).toContain("Events a minute over the last hour, bench.sat");
    await page.getByRole("button", { name: "Chart all keys" }).press("Enter");
    await waitFor("the chart of all", async () => (await textOf("#charted")) === "all keys");
    expect(parameter("key")).toBeNull();

    await sort.getByRole("button").press("Enter");
    await untilKeys("desk.stapler.lost", "desk.stapler.moved", "chair.turned", "desk.lamp.lit", "bench.sat");
    expect(await sort.getAttribute("aria-sort")).toBe("ascending");
  });

  test("all companies together, and a company that cannot be one, as text", async () => {
    await page.goto(`${millrace.url}/events?companyId=`);
    await waitFor("keys of several companies", async () => {
      const shown = await keys();
      return shown.includes("desk.lamp.lit") && shown.includes("telemetry.gpu");
    });
    await page.goto(`${millrace.url}/events?companyId=${encodeURIComponent("<img src=x onerror=alert(1)>")}`);
    await untilBadge("Refused");
    expect(await textOf("#notices")).toContain("<img src=x onerror=alert(1)>");
    expect(await page.locator("main img").count()).toBe(0);
    expect(await textOf("#empty")).toBe("The server shows no numbers here.");
  });

  test("fits 360 pixels as a table still; its texts are readable, light and dark", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open("&filter=chair.%23%20de*&key=chair.turned");
    await untilKeys("chair.turned");
    expect(await overflow(page)).toBe(0);
    const table = await page.locator("#key-table").ariaSnapshot();
    expect(table).toContain('table "Routing keys"');
    expect(table).toContain('columnheader "All time"');
    expect(table).toMatch(/row "chair\.turned 5 5 \d/);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await lowContrast(page)).toEqual([]);
    }
  });

  test("numbers that stop coming are said to be old, until they go on", async () => {
    await open();
    // The clock jumps, instead of waiting; again where just then a new minute brought a snapshot.
    await waitFor(
      "the silence",
      async () => {
        const said = [await textOf("#connection"), await page.locator("#figures").getAttribute("data-stale")];
        if (said.join() === "Silent,true") return true;
        await page.evaluate("{ const now = Date.now; Date.now = () => now() + 80_000; }");
        throw new Error(said.join());
      },
      { everyMs: 2_500 },
    );
    expect(await textOf("#notices")).toMatch(/^No numbers since /);
    await produce(1, "bench.sat");
    await untilBadge("Live");
    expect(await textOf("#notices")).toBe("");
  });

  test("server away and back: said, stale meanwhile, then live again", async () => {
    await open();
    await untilKeys("bench.sat", "chair.turned", "desk.lamp.lit", "desk.stapler.lost", "desk.stapler.moved");
    await millrace.stop();
    await untilBadge("Reconnecting");
    expect(await page.locator("#key-table").getAttribute("data-stale")).toBe("true");
    expect(await page.locator("#figures").getAttribute("data-stale")).toBe("true");
    expect(await cells("desk.lamp.lit").first().textContent()).toBe("7");
    await millrace.startAgain();
    // What the browser says when its network is back: the page does not wait for the end of its delay.
    await page.evaluate('dispatchEvent(new Event("online"))');
    await untilBadge("Live");
    await waitFor(
      "fresh numbers",
      async () => (await page.locator("#key-table").getAttribute("data-stale")) === "false",
    );
    await produce(1, "desk.lamp.lit");
    await waitFor("the eighth", async () => (await cells("desk.lamp.lit").first().textContent()) === "8");
  });
});
