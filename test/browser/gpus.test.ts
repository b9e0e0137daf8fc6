import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { waitFor } from "../support/wait.ts";
import type { Millrace } from "./browser.ts";
import { lowContrast, overflow } from "./looks.ts";
import { usePages } from "./page-tests.ts";

const AUTH_TOKEN = "the token of the metrics API";
const UTIL = "DCGM_FI_DEV_GPU_UTIL";
const POWER = "DCGM_FI_DEV_POWER_USAGE";
const HOSTILE = `<img src=x onerror="document.title='owned'">${"h".repeat(64)}`;
const MINUTE_MS = 60_000;

interface Sent {
  readonly companyId?: string;
  readonly host?: string;
  readonly gpu?: number;
  readonly metric?: string;
  readonly value: number | string;
  readonly agoMs?: number;
}

const uuidOf = (host: string, gpu: number) => `GPU-${host}-${gpu}`;

describe("page /gpus", () => {
  let millrace: Millrace;
  let page: Page;
  usePages({
    settings: () => ({ AUTH_TOKEN }),
    async onStart(started) {
      millrace = started;
      const eight = Array.from({ length: 8 }, (_, gpu) => ({ host: "node-2", gpu, value: gpu * 13 }));
      await send(
        ...eight,
        ...eight.map((one) => ({ ...one, metric: POWER, value: 70 + one.gpu * 80 })),
        { host: "node-10", gpu: 0, value: 50 },
        { host: "node-10", gpu: 1, value: 10, agoMs: 10 * MINUTE_MS },
        { host: "node-10", gpu: 1, value: 20, agoMs: 5 * MINUTE_MS },
        { host: "node-10", gpu: 1, value: 90, agoMs: 120 * MINUTE_MS },
        { companyId: "umbrella", host: HOSTILE, value: HOSTILE },
      );
      await waitFor("the last of them in the store", async () => (await fleetOf("umbrella")) === 1);
    },
    onPage: (opened) => {
      page = opened;
    },
  });

  async function send(...readings: Sent[]): Promise<void> {
    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    for (const {
      companyId = "initech",
      host = "node-2",
      gpu = 0,
      metric = UTIL,
      value,
      agoMs = 0,
    } of readings) {
      const row = {
        ...{ companyId, type: "telemetry.gpu", timestamp: new Date(Date.now() - agoMs).toISOString() },
        ...{ metric_name: metric, gpu_id: String(gpu), device: `nvidia${gpu}`, uuid: uuidOf(host, gpu) },
        ...{ modelName: "H100", Hostname: host, container: "", pod: "train-7", namespace: "ml", value },
        labels_raw: "",
      };
      await producer.send(Buffer.from(JSON.stringify(row)));
    }
    await producer.close();
  }
  async function fleetOf(companyId: string): Promise<number> {
    const headers = { authorization: `Bearer ${AUTH_TOKEN}` };
    const response = await fetch(`${millrace.url}/api/v1/gpus?companyId=${companyId}`, { headers });
    return ((await response.json()) as { total: number }).total;
  }

  /** Signed in, as the reader who knows the API's token. */
  const open = async (query = "companyId=initech") => {
    await page.addInitScript((token) => sessionStorage.setItem("millrace.token", token), AUTH_TOKEN);
    await page.goto(`${millrace.url}/gpus?${query}`);
    await untilBadge("Live");
  };
  const textOf = async (selector: string): Promise<string> =>
    (await page.locator(selector).textContent()) ?? "";
  const untilText = (selector: string, text: string | RegExp) =>
    waitFor(`${selector}: ${text}`, async () => {
      const found = await textOf(selector);
      return typeof text === "string" ? found === text : text.test(found);
    });
  const untilBadge = (text: string) =>
    waitFor(`badge ${text}`, async () => (await textOf("#connection")).startsWith(text), {
      timeoutMs: 25_000,
    });
  /** What the browser says when its network is back: the page does not wait for the end of its delay. */
  const comeBack = async () => {
    await page.evaluate('dispatchEvent(new Event("online"))');
    await untilBadge("Live");
  };
  const cell = (host: string, gpu: number) =>
    page.getByRole("row", { name: host }).getByRole("gridcell").nth(gpu).getByRole("button");
  const untilCell = (host: string, gpu: number, name: string) =>
    waitFor(
      `${host} ${gpu}: ${name}`,
      async () => (await cell(host, gpu).getAttribute("aria-label")) === name,
    );
  const parameter = (name: string) => new URL(page.url()).searchParams.get(name);

  test("asks who is there where the server wants to know, and goes on with the token", async () => {
    await page.goto(`${millrace.url}/gpus?companyId=initech`);
    await waitFor("the panel", () => page.locator("#sign-in").isVisible());
    expect(await textOf("#sign-in-text")).not.toBe("");
    await page.getByLabel("Token").fill(AUTH_TOKEN);
    await page.keyboard.press("Enter");
    await untilText("#sum-gpus", "10");
    expect(await page.locator("#sign-in").isVisible()).toBe(false);
    expect(await textOf("#detail-title")).toMatch(/GPU/);
  });

  test("hosts in natural order, what the store knows and what comes, coloured by value", async () => {
    await open();
    await untilCell("node-2", 7, "node-2, GPU 7: Utilisation 91 %");
    expect(await page.getByRole("rowheader").allTextContents()).toEqual(["node-2", "node-10"]);
    const buttons = await page.locator(".host-row").first().locator("button").all();
    const levels = await Promise.all(buttons.map((button) => button.getAttribute("data-level")));
    expect(levels).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
    expect(await textOf("#sum-hosts")).toBe("on 2 hosts");
    await send({ gpu: 3, value: 100 });
    await untilCell("node-2", 3, "node-2, GPU 3: Utilisation 100 %");
    await untilText("#highest", "100 %");
    await untilText("#highest-of", "node-2 · 3");
    // One that was late is none of the newest.
    await send({ gpu: 3, value: 1, agoMs: MINUTE_MS }, { gpu: 4, value: 53 });
    await untilCell("node-2", 4, "node-2, GPU 4: Utilisation 53 %");
    expect(await cell("node-2", 3).getAttribute("aria-label")).toContain("100 %");
    // A host that was not there.
    await send({ host: "node-1", value: 7 });
    await untilCell("node-1", 0, "node-1, GPU 0: Utilisation 7 %");
    expect(await page.getByRole("rowheader").allTextContents()).toEqual(["node-1", "node-2", "node-10"]);
  });

  test("a reading that is old looks it, and says of when it is", async () => {
    await open();
    await waitFor("the old cell", async () => (await cell("node-10", 1).getAttribute("data-old")) === "true");
    expect(await cell("node-10", 1).getAttribute("aria-label")).toMatch(
      /^node-10, GPU 1: Utilisation 20 %, old: as of \d\d:\d\d:\d\d$/,
    );
    expect(await cell("node-2", 0).getAttribute("data-old")).toBe("false");
    expect(Number(await textOf("#silent"))).toBeGreaterThanOrEqual(1);
  });

  test("another metric: values, unit, colours' ends, URL", async () => {
    await open();
    await untilCell("node-2", 1, "node-2, GPU 1: Utilisation 13 %");
    await page.getByLabel("Metric").selectOption({ label: "Power" });
    await untilCell("node-2", 1, "node-2, GPU 1: Power 150 W");
    await untilText("#scale-most", "800 W");
    expect(await cell("node-10", 0).getAttribute("aria-label")).toBe("node-10, GPU 0: no Power known");
    expect(parameter("metric")).toBe(POWER);
    expect(await textOf("#series-title")).toBe("Power, W");
  });

  test("by keyboard: arrows between the cells of the grid, one of them in the tab order", async () => {
    await open();
    await untilCell("node-2", 7, "node-2, GPU 7: Utilisation 91 %");
    const rows = await page.getByRole("rowheader").allTextContents();
    await page.locator("#metric").focus();
    await page.keyboard.press("Tab");
    const focused = () => page.locator(":focus").getAttribute("aria-label");
    const first = `${rows[0]}, GPU 0`;
    expect(await focused()).toContain(first);
    expect(await page.locator("#map [tabindex='0']").count()).toBe(1);
    await page.keyboard.press("Control+End");
    expect(await focused()).toContain("node-10, GPU 1");
    await page.keyboard.press("ArrowUp");
    expect(await focused()).toContain("node-2, GPU 1");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toContain("node-2, GPU 3");
    await page.keyboard.press("End");
    expect(await focused()).toContain("node-2, GPU 7");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowLeft");
    expect(await focused()).toContain("node-2, GPU 0");
    await page.keyboard.press("Enter");
    await untilText("#detail-title", "node-2 · GPU 0");
    expect(parameter("gpu")).toBe(uuidOf("node-2", 0));
    expect(await page.locator("[role=gridcell][aria-selected=true]").count()).toBe(1);
    await page.keyboard.press("Control+Home");
    expect(await focused()).toContain(first);
  });

  test("one GPU by URL: its labels, its series, further back, and live", async () => {
    await open(`companyId=initech&gpu=${uuidOf("node-10", 1)}`);
    await untilText("#detail-title", "node-10 · GPU 1");
    await untilText("#series-note", "Least 10 %, mean 15 %, most 20 % · 2 readings");
    expect(await textOf("#labels")).toContain("train-7");
    expect(await page.locator("#readings tr td:last-child").allTextContents()).toEqual(["20 %", "10 %"]);
    const name = await page.locator("#series [role=img]").getAttribute("aria-label");
    expect(name).toContain("Utilisation of node-10, GPU 1, over the last hour; now Utilisation 20");

    await page.getByText("6 h", { exact: true }).click();
    await untilText("#series-note", "Least 10 %, mean 40 %, most 90 % · 3 readings");
    expect(parameter("span")).toBe("6");
    await send({ host: "node-10", gpu: 1, value: 40, agoMs: 4 * MINUTE_MS });
    await untilText("#series-note", "Least 10 %, mean 40 %, most 90 % · 4 readings");
    expect(await page.locator("#readings tr td:last-child").first().textContent()).toBe("40 %");
  });

  test("labels and values stay text; a GPU that is not there is said", async () => {
    await open("companyId=umbrella");
    await untilText(".host", HOSTILE);
    await untilText(".cell .value", HOSTILE);
    expect(await page.locator("main img").count()).toBe(0);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await overflow(page)).toBe(0);
    await page.goto(`${millrace.url}/gpus?companyId=umbrella&gpu=${encodeURIComponent(HOSTILE)}`);
    await untilText("#detail-title", `umbrella has no GPU ${HOSTILE}`);
    expect(await page.title()).toBe("GPUs · Millrace");
  });

  test("fits 360 pixels; its texts are readable in every colour, light and dark", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open();
    await untilCell("node-2", 7, "node-2, GPU 7: Utilisation 91 %");
    await untilText("#series-note", /reading/);
    expect(await overflow(page)).toBe(0);
    // The pages are a line to be pushed sideways; this one is in sight, also after the screen was turned.
    for (const width of [360, 320]) {
      await page.setViewportSize({ width, height: 740 });
      await waitFor(`its name at ${width}`, async () => {
        const { x = -1, width: wide = 0 } = (await page.locator(".pages [aria-current]").boundingBox()) ?? {};
        return x >= 0 && x + wide <= width;
      });
    }
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await lowContrast(page)).toEqual([]);
    }
    const snapshot = await page.locator("main").ariaSnapshot();
    expect(snapshot).toContain('grid "GPUs by host: Utilisation, %"');
    expect(snapshot).toContain('combobox "Metric"');
    expect(snapshot).toContain('radio "1 h" [checked]');
  });

  test("server away and back: said, stale meanwhile, and nothing that came is missing", async () => {
    await open(`companyId=initech&gpu=${uuidOf("node-2", 5)}`);
    await untilText("#series-note", /· 1 reading$/);
    await send({ gpu: 5, value: 66 });
    await untilText("#series-note", /· 2 readings$/);
    await millrace.stop();
    await untilBadge("Reconnecting");
    expect(await page.locator("#map").getAttribute("data-stale")).toBe("true");
    await millrace.startAgain();
    // While nobody may be connected: the stream brings it with the cursor.
    await send({ gpu: 5, value: 67 });
    await comeBack();
    await untilCell("node-2", 5, "node-2, GPU 5: Utilisation 67 %");
    await untilText("#series-note", /· 3 readings$/);
    expect(await page.locator("#map").getAttribute("data-stale")).toBe("false");
  });
});
