import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { launchChromium, type Millrace, startMillrace } from "./browser.ts";

const reason = missing("chromium");

describe("page /", () => {
  let browser: Browser;
  let millrace: Millrace;
  let page: Page;
  /** What the browser complained of: scripts that failed, and whatever the Content-Security-Policy stopped. */
  let complaints: string[] = [];

  beforeAll(async () => {
    if (reason) return;
    [browser, millrace] = await Promise.all([launchChromium(), startMillrace()]);
  });
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });
  beforeEach(async (context) => {
    if (reason) context.skip(reason);
    complaints = [];
    page = await browser.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      // A server that is away is said by the browser too, as a failed resource.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        complaints.push(message.text());
      }
    });
  });
  afterEach(async () => {
    await page?.close();
    expect(complaints).toEqual([]);
  });

  const open = (companyId?: string) =>
    page.goto(
      `${millrace.url}/${companyId === undefined ? "" : `?companyId=${encodeURIComponent(companyId)}`}`,
    );
  const text = async (id: string): Promise<string> => (await page.locator(`#${id}`).textContent()) ?? "";
  const count = async (id: string): Promise<number> => Number((await text(id)).replaceAll(",", ""));
  const rows = (): Locator => page.locator("#rows tr:not(.note)");
  const untilState = (state: string) =>
    waitFor(`state ${state}`, async () => (await text("state-text")) === state);
  const untilReceived = (least: number) =>
    waitFor(`${least} events`, async () => (await count("received")) >= least, { timeoutMs: 20_000 });
  /** The result of the last replay, once it is there. */
  const result = () =>
    waitFor("the result of the replay", async () => {
      const found = /^(Replayed|Back).*/.exec(await text("result-text"));
      return found?.[0];
    });

  /** The tip of the company's log, asked of the server. */
  async function history(companyId: string, after: string): Promise<{ cursor: string }[]> {
    const query = new URLSearchParams({ companyId, after, limit: "500" });
    const response = await fetch(`${millrace.url}/stream/history?${query}`);
    return ((await response.json()) as { events: { cursor: string }[] }).events;
  }

  async function produce(...bodies: object[]): Promise<void> {
    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    for (const body of bodies) await producer.send(Buffer.from(JSON.stringify(body)));
    await producer.close();
  }

  test("shows events as they arrive, newest first, with the last cursor", async () => {
    await open();
    await untilState("Live");
    await untilReceived(3);
    expect(await text("company-name")).toBe("acme");
    await page.click("#pause");
    const cursors = await page
      .locator("#rows td.c-cursor")
      .evaluateAll((cells) => cells.map((cell) => cell.getAttribute("title")));
    const times = await page
      .locator("#rows time")
      .evaluateAll((cells) => cells.map((cell) => cell.getAttribute("datetime") ?? ""));
    expect(new Set(cursors).size).toBe(cursors.length);
    expect(times).toEqual([...times].sort().reverse());
    expect(await count("duplicates")).toBe(0);
    expect(await text("cursor")).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
    await waitFor("a rate", async () => Number(await text("rate")) > 0);
  });

  test("pause keeps the table still and counts on; resume shows what came", async () => {
    await open();
    await untilReceived(1);
    await page.click("#pause");
    await waitFor("the pause to hold events back", async () => /\(\d+ new\)/.test(await text("pause")));
    const before = await rows().count();
    const received = await count("received");
    await untilReceived(received + 2);
    expect(await rows().count()).toBe(before);
    await page.click("#pause");
    await waitFor("the rows", async () => (await rows().count()) >= before + 2);
  });

  test("cut, miss events, reconnect: the replay closes the gap, nothing lost, nothing twice", async () => {
    await open();
    await untilReceived(3);
    await page.click("#cut");
    await untilState("Cut");
    const cursor = await text("cursor");
    const received = await count("received");
    expect(await text("state-detail")).toMatch(/^for \d/);
    await waitFor("events to go by", async () => (await history("acme", cursor)).length >= 5);
    expect(await count("received")).toBe(received);

    await page.click("#cut");
    const outcome = await result();
    const missed = Number(
      /^Replayed ([\d,]+) events? missed in [\d.]+ s: 0 lost, 0 twice\.$/.exec(outcome)?.[1],
    );
    expect(missed, outcome).toBeGreaterThanOrEqual(5);
    await waitFor(
      "the replayed rows",
      async () => (await page.locator("#rows .replayed").count()) === missed,
    );
    expect(await count("replayed")).toBe(missed);
    expect(await count("duplicates")).toBe(0);
    expect(await count("gaps")).toBe(0);

    // The page's own word is not enough: its rows against the log.
    await page.click("#pause");
    const shown = await rows().evaluateAll((all) =>
      all.map((row) => ({
        cursor: row.querySelector(".c-cursor")?.getAttribute("title"),
        replayed: row.classList.contains("replayed"),
      })),
    );
    const since = shown
      .slice(
        0,
        shown.findIndex((row) => row.cursor === cursor),
      )
      .reverse();
    const log = (await history("acme", cursor)).slice(0, since.length);
    expect(since.map((row) => row.cursor)).toEqual(log.map((entry) => entry.cursor));
    expect(since.map((row) => row.replayed)).toEqual(since.map((_, index) => index < missed));
  });

  test("switching the company shows that one alone", async () => {
    await open("acme");
    await untilReceived(2);
    await page.getByText("globex", { exact: true }).click();
    await waitFor("the other company", async () => (await text("company-name")) === "globex");
    await untilReceived(3);
    await waitFor("its rows", async () => (await rows().count()) >= 3);
    const data = await page.locator("#rows td.c-data").allTextContents();
    expect(data.length).toBeGreaterThan(0);
    for (const one of data) expect(JSON.parse(one)).toMatchObject({ companyId: "globex" });
    expect(new URL(page.url()).searchParams.get("companyId")).toBe("globex");
  });

  test("any company by name, by keyboard", async () => {
    await open();
    await page.getByLabel("Another company").fill("initech");
    await page.keyboard.press("Enter");
    await untilState("Live");
    await produce({ companyId: "initech", type: "desk_updated", stapler: "red" });
    await untilReceived(1);
    await waitFor("the row", async () => (await rows().count()) === 1);
    expect(await rows().locator(".type").textContent()).toBe("desk_updated");
    expect(await rows().locator(".c-data").textContent()).toContain('"stapler":"red"');
    expect(await count("received")).toBe(1);
  });

  test("payloads stay text", async () => {
    const payloads = [
      "<img src=x onerror=\"document.title='owned'\">",
      "</td></tr></table><script>document.title='owned'</script>",
      "\u2028\u0000\r\n\r\nevent: forged\r\ndata: {}\r\n\r\n",
      "javascript:alert(1)",
    ];
    await open("injection");
    await untilState("Live");
    await produce(...payloads.map((payload, n) => ({ companyId: "injection", type: `case_${n}`, payload })));
    await untilReceived(payloads.length);
    await waitFor("the rows", async () => (await rows().count()) === payloads.length);
    const shown = (await page.locator("#rows td.c-data").allTextContents()).reverse();
    expect(shown.map((one) => JSON.parse(one).payload)).toEqual(payloads);
    expect(await page.locator("#rows :is(img, script, a)").count()).toBe(0);
    expect(await page.title()).toBe("injection · Millrace");
  });

  test("a refusal that will not pass is said, as text", async () => {
    await open("<b>no company</b>");
    await untilState("Refused");
    expect(await text("state-detail")).toContain("<b>no company</b>");
    expect(await page.locator("#state-detail b").count()).toBe(0);
    expect(await text("cut")).toBe("Try again");
  });

  test("server away and back: said, and resumed by itself without a loss", async () => {
    await open();
    await untilReceived(3);
    await millrace.stop();
    await untilState("Reconnecting");
    // A killed server closes its sockets, and that is how a close-delimited response ends as well.
    expect(await text("state-detail")).toMatch(
      /^in \d.* s: the (stream ended|connection was lost|server cannot be reached)$/,
    );
    await millrace.startAgain();
    await waitFor("live again", async () => (await text("state-text")) === "Live", { timeoutMs: 25_000 });
    expect(await result()).toMatch(/^Back after .*: no event was missed\.$|0 lost, 0 twice\.$/);
    const received = await count("received");
    await untilReceived(received + 2);
    expect(await count("duplicates")).toBe(0);
    expect(await count("gaps")).toBe(0);
  });

  test("fits 360 pixels, and every control has a name", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open();
    await untilReceived(3);
    const width = await page.locator("html").evaluate((html) => html.scrollWidth);
    expect(width).toBeLessThanOrEqual(360);
    const snapshot = await page.locator("body").ariaSnapshot();
    for (const name of [
      'radio "acme" [checked]',
      'textbox "Another company"',
      'button "Watch"',
      'button "Cut the connection"',
      'img "Events in each of the last 60 seconds"',
      'button "Pause"',
      'table "Events"',
    ]) {
      expect(snapshot).toContain(name);
    }
  });
});
