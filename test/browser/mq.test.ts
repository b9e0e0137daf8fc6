import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { factsOf, wholeOf } from "../../web/pages/mq/facts.ts";
import { waitFor } from "../support/wait.ts";
import type { Millrace } from "./browser.ts";
import { lowContrast, overflow } from "./looks.ts";
import { usePages } from "./page-tests.ts";

const EVIL = "<img src=x onerror=\"document.title='owned'\">";

describe("factsOf", () => {
  const ts = "2026-01-31T12:00:00Z";
  const timeMs = Date.parse(ts);

  test("each use case in its own words", () => {
    const payment = { companyId: "acme", txn_id: "t", account: "AC-1", amount: 1234.5, currency: "EUR" };
    expect(factsOf("AUDIT_TXN", { ...payment, merchant: "Fuel Stop", ts }, false)).toEqual({
      main: "1,234.50 EUR",
      more: "Fuel Stop · AC-1",
      timeMs,
    });
    const order = {
      companyId: "acme",
      customer_id: "CU-1",
      total: 9,
      items: [{}, {}],
      promo_opt_in: true,
      ts,
    };
    expect(factsOf("PROMO_FEED", order, false)).toMatchObject({
      main: "9.00",
      more: "2 items · CU-1 · wants offers",
    });
    expect(
      factsOf("CENTRAL_SYNC", { companyId: "acme", sku: "S", delta: -2, store: "x", ts }, true),
    ).toMatchObject({
      main: "−2 S",
      more: "acme · x",
    });
  });

  test("a payload of another shape: its first fields, and no time where it says none", () => {
    expect(factsOf("AUDIT_TXN", { companyId: "acme", a: 1, b: { c: 2 }, d: "e", ts: "soon" }, false)).toEqual(
      {
        main: "a 1",
        more: "d e",
        timeMs: undefined,
      },
    );
    expect(factsOf("AUDIT_TXN", { companyId: "acme" }, false)).toMatchObject({ main: "a payload", more: "" });
  });

  test("bytes: how many, how they begin, and a dump", () => {
    const preview = Buffer.from(`MQ\u0000${"x".repeat(20)}`).toString("hex");
    const payload = { companyId: "acme", encoding: "hex", bytes: 4096, preview };
    expect(factsOf("AUDIT_TXN", payload, false)).toMatchObject({
      main: "4,096 bytes",
      more: "4d 51 00 78 78 78 78 78 78 78 78 78",
    });
    expect(wholeOf(payload).split("\n")).toEqual([
      "0000  4d 51 00 78 78 78 78 78 78 78 78 78 78 78 78 78  MQ.xxxxxxxxxxxxx",
      "0010  78 78 78 78 78 78 78                             xxxxxxx",
      "… 4,073 more bytes, which are not kept",
    ]);
  });
});

describe("page /mq", () => {
  let millrace: Millrace;
  let page: Page;
  usePages({
    onStart: (started) => {
      millrace = started;
    },
    onPage: (opened) => {
      page = opened;
    },
  });

  const open = (companyId = "acme") => page.goto(`${millrace.url}/mq?${new URLSearchParams({ companyId })}`);
  const card = (name: string): Locator => page.getByRole("region", { name, exact: true });
  const number = async (name: string, part: "rate" | "total"): Promise<number> =>
    Number((await card(name).locator(`.${part}`).textContent())?.replaceAll(",", ""));
  const badge = async () => (await page.locator("#connection").textContent()) ?? "";
  const untilMoving = async (name: string): Promise<void> => {
    const total = await waitFor(`a total of ${name}`, async () => (await number(name, "total")) || undefined);
    await waitFor(`more of ${name}`, async () => (await number(name, "total")) > total);
  };

  async function produce(...bodies: object[]): Promise<void> {
    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    for (const body of bodies) await producer.send(Buffer.from(JSON.stringify(body)));
    await producer.close();
  }

  test("three cards with rate, total, chart and payloads, newest first, and they move", async () => {
    await open();
    const names = ["Transaction audit", "Orders", "Inventory"];
    await Promise.all(names.map(untilMoving));
    for (const name of names) {
      await waitFor("a rate", async () => (await number(name, "rate")) > 0);
      const times = await card(name).locator(".when").allTextContents();
      expect(times.length).toBeGreaterThan(1);
      expect(times.length).toBeLessThanOrEqual(10);
      expect(times).toEqual([...times].sort().reverse());
      const chart = card(name).getByRole("img", { name: /^.*: events a second over the last minute; now/ });
      await waitFor("the chart's newest", async () =>
        / [\d.]+$/.test((await chart.getAttribute("aria-label")) ?? ""),
      );
    }
    expect(await badge()).toBe("Live");
  });

  test("a payload opened by keyboard is shown whole; the list holds still until it is closed", async () => {
    await open();
    await untilMoving("Transaction audit");
    const first = card("Transaction audit").locator("summary").first();
    await first.focus();
    await page.keyboard.press("Enter");
    const held = card("Transaction audit").locator(".held");
    const before = await card("Transaction audit").locator("li").allTextContents();
    const whole = JSON.parse((await card("Transaction audit").locator("pre").first().textContent()) ?? "");
    expect(whole).toMatchObject({
      companyId: "acme",
      txn_id: expect.any(String),
      amount: expect.any(Number),
    });
    await waitFor("newer ones", async () => /^held, \d+ newer$/.test((await held.textContent()) ?? ""));
    expect(await card("Transaction audit").locator("li").allTextContents()).toEqual(before);
    await page.keyboard.press("Enter");
    await waitFor("the list to go on", async () => (await held.textContent()) === "newest first");
    await waitFor("new rows", async () => {
      const now = await card("Transaction audit").locator("li").allTextContents();
      return now[0] !== before[0];
    });
  });

  test("what strangers wrote is text, and fits the screen", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open("hostile");
    const payloads = [
      { type: "audit.txn", amount: 1e15, currency: EVIL, merchant: "x".repeat(4000) },
      { type: "promo.feed", [EVIL]: EVIL },
      { type: "central.sync", encoding: "hex", bytes: 3, preview: "3c623e" },
    ];
    await produce(...payloads.map((payload) => ({ companyId: "hostile", ...payload })));
    for (const name of ["Transaction audit", "Orders", "Inventory"]) {
      await card(name).locator("summary").click();
    }
    expect(await card("Transaction audit").locator(".main").textContent()).toContain(EVIL);
    expect(JSON.parse((await card("Orders").locator("pre").textContent()) ?? "")[EVIL]).toBe(EVIL);
    expect(await card("Inventory").locator("pre").textContent()).toMatch(/^0000 {2}3c 62 3e +<b>$/);
    expect(await page.locator("#cards :is(img, b)").count()).toBe(0);
    expect(await overflow(page)).toBe(0);
    expect(await page.title()).toBe("IBM MQ of hostile · Millrace");
  });

  test("all companies together, each payload with its company", async () => {
    await open();
    await page.locator("#company").selectOption({ label: "all companies" });
    await page.waitForURL(/companyId=$/);
    await waitFor("both companies", async () => {
      const texts = await page.locator(".more").allTextContents();
      return ["acme", "globex"].every((name) => texts.some((text) => text.startsWith(name)));
    });
  });

  test("where the stream does not come through the numbers are asked for, and the badge says so", async () => {
    await page.route("**/sse?*", (route) => route.fulfill({ status: 404, body: "no such route" }));
    await open();
    await waitFor("polling", async () => (await badge()) === "Polling");
    await waitFor("a total", async () => (await number("Orders", "total")) > 0);
    expect(await page.locator("#cards").getAttribute("data-stale")).toBe("false");
  });

  test("every text can be read, also what is stale, light and dark", async () => {
    await open();
    await card("Inventory").locator("summary").first().click();
    for (const stale of ["false", "true"]) {
      await page.locator("#cards").evaluate((cards, value) => {
        cards.dataset.stale = value;
      }, stale);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await lowContrast(page)).toEqual([]);
      }
    }
  });

  test("server away: the badge says it and the numbers look stale; then it goes on by itself", async () => {
    await open();
    await untilMoving("Orders");
    await millrace.stop();
    await waitFor("the badge", async () => /^Reconnecting in \d/.test(await badge()));
    expect(await page.locator("#cards").getAttribute("data-stale")).toBe("true");
    await millrace.startAgain();
    // What the browser says when its network is back: the page does not wait for the end of its delay.
    await page.evaluate('dispatchEvent(new Event("online"))');
    await waitFor("live again", async () => (await badge()) === "Live", { timeoutMs: 25_000 });
    await untilMoving("Orders");
    expect(await page.locator("#cards").getAttribute("data-stale")).toBe("false");
  });
});
