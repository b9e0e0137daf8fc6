import { SignJWT } from "jose";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { type Millrace, startMillrace } from "./browser.ts";
import { lowContrast, overflow } from "./looks.ts";
import { usePages } from "./page-tests.ts";

const JWT_SECRET = "a secret of thirty-two characters or more";

function tokenOf(companyId: string): Promise<string> {
  return new SignJWT({ companyId })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(JWT_SECRET));
}

describe("page /", () => {
  let millrace: Millrace;
  let page: Page;
  usePages({
    // A source that finds no broker, beside the one of the demo.
    settings: async () => ({ NATS_URL: `nats://127.0.0.1:${await freePort()}` }),
    onStart: (started) => {
      millrace = started;
    },
    onPage: (opened) => {
      page = opened;
    },
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

  const card = (name: string): Locator =>
    page.locator(".source").filter({ has: page.getByRole("heading", { name, exact: true }) });
  const storedBy = async (name: string): Promise<number> =>
    Number((await card(name).locator(".stored").textContent())?.replaceAll(",", ""));

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
    expect(await text("connection")).toBe("Cut");

    await page.locator("#cut").press("Enter");
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
    await page.locator("#company").selectOption("globex");
    await waitFor("the other company", async () => (await text("company-name")) === "globex");
    await untilReceived(3);
    await waitFor("its rows", async () => (await rows().count()) >= 3);
    const data = await page.locator("#rows td.c-data").allTextContents();
    expect(data.length).toBeGreaterThan(0);
    for (const one of data) expect(JSON.parse(one)).toMatchObject({ companyId: "globex" });
    expect(new URL(page.url()).searchParams.get("companyId")).toBe("globex");
  });

  test("any company by name, by keyboard: moving through the list loads nothing", async () => {
    await open();
    const select = page.locator("#company");
    await select.locator("option[value=globex]").waitFor({ state: "attached" });
    await page.evaluate("globalThis.isSame = true");
    await select.focus();
    await page.keyboard.press("ArrowDown");
    await page.getByRole("button", { name: "Show" }).waitFor();
    expect(await select.inputValue()).toBe("globex");
    await page.locator("#pause").focus();
    expect(await select.inputValue()).toBe("acme");
    expect(await page.getByRole("button", { name: "Show" }).isVisible()).toBe(false);
    await select.focus();
    await page.keyboard.press("End");
    await page.getByLabel("Another company").waitFor();
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await overflow(page)).toBe(0);
    expect(await page.evaluate("globalThis.isSame")).toBe(true);
    await page.keyboard.press("Tab");
    await page.keyboard.type("initech");
    await page.keyboard.press("Enter");
    await waitFor("the other company", async () => (await text("company-name")) === "initech");
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
    expect(await text("empty")).toBe("The server shows no events here.");
  });

  test("fits 360 pixels, and every control has a name", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open();
    await untilReceived(3);
    await card("embedded").getByText("Up").waitFor();
    expect(await overflow(page)).toBe(0);
    const snapshot = await page.locator("body").ariaSnapshot();
    for (const name of [
      'combobox "Company"',
      'button "Cut the connection"',
      'img "Events in each of the last 60 seconds"',
      'heading "Pipeline" [level=1]',
      'heading "Sources" [level=2]',
      'heading "embedded" [level=3]',
      'img "Events a second of embedded, over the last minutes',
      'button "Pause"',
      'table "Events"',
    ]) {
      expect(snapshot).toContain(name);
    }
  });

  test("every text can be read, also what is stale, light and dark", async () => {
    await open();
    await untilReceived(3);
    await card("nats").getByText("Down").waitFor();
    const expectReadable = async () => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await lowContrast(page)).toEqual([]);
      }
    };
    await expectReadable();
    await page.route("**/api/pipeline", (route) => route.abort());
    await page.locator("#pipeline[data-stale=true]").waitFor();
    await expectReadable();
  });

  describe("pipeline", () => {
    test("each source with its rate, the log and the connections, and they move", async () => {
      await open();
      await card("embedded").getByText("Up").waitFor();
      await waitFor(
        "a rate",
        async () => Number(await card("embedded").locator(".number").textContent()) > 0,
      );
      const stored = await storedBy("embedded");
      await waitFor("more", async () => (await storedBy("embedded")) > stored);
      await waitFor("the rate of the log", async () => Number(await text("log-number")) > 0);
      await waitFor("this page", async () => (await count("connections-number")) >= 1);
      expect(await text("log-facts")).toMatch(/^[\d,]+ events of [\d,]+ companies$/);
      expect(await text("connections-facts")).toMatch(/^of 1 company · on 1 server$/);
      expect(await text("as-of")).toMatch(/^as of \d\d:\d\d:\d\d$/);
    });

    test("a server that says when to ask again by a date is not asked at once", async () => {
      let asked = 0;
      await page.route("**/api/pipeline", (route) => {
        asked++;
        const headers = { "retry-after": new Date(Date.now() + 60_000).toUTCString() };
        return route.fulfill({ status: 503, headers, body: "" });
      });
      await open();
      await waitFor("the wait", async () => /^Reconnecting in \d/.test(await text("connection")));
      await untilReceived(1);
      expect(asked).toBeLessThan(5);
    });

    test("a source that is down says why, and what to do", async () => {
      await open();
      await card("nats").getByText("Down").waitFor();
      expect(await card("nats").locator(".why").textContent()).toMatch(
        /^Cannot connect to NATS .*connection refused.*\. It tries again by itself; npx millrace doctor says more\.$/,
      );
    });

    test("a bridge that died, long names, what strangers wrote: said, as text", async () => {
      const now = new Date().toISOString();
      const evil = "<img src=x onerror=\"document.title='owned'\">";
      const source = { kind: "nats", rate: 0, appended: 123_456_789_012, redelivered: 0, lag: 9_876_543_210 };
      const more = { deadLetters: 7, lastEventAt: now, reportedAt: now, instance: "host-1" };
      await page.setViewportSize({ width: 360, height: 740 });
      await page.route("**/api/pipeline", (route) =>
        route.fulfill({
          json: {
            sources: [
              { ...source, ...more, name: evil.repeat(3), state: "down", reason: evil },
              { ...source, ...more, name: "x".repeat(64), state: "lost" },
            ],
            log: { store: "redis", companies: 12_345, events: 9_999_999_999, rate: 123_456.7, up: true },
            connections: { total: 1_234_567, activeCompanies: 12_345, instances: 99 },
            timestamp: now,
          },
        }),
      );
      await open();
      const [first, second] = [page.locator(".source").nth(0), page.locator(".source").nth(1)];
      await second.getByText("Lost").waitFor();
      expect(await first.locator("h3").textContent()).toBe(evil.repeat(3));
      expect(await first.locator(".why").textContent()).toContain(evil);
      expect(await second.locator(".why").textContent()).toMatch(
        /^Bridge host-1 was last heard of at \d\d:\d\d:\d\d, most likely it is dead\. Start it again/,
      );
      expect(await second.locator(".source-body").getAttribute("data-stale")).toBe("true");
      expect(await second.locator(".lag").textContent()).toBe("9,876,543,210");
      expect(await page.locator("#pipeline img").count()).toBe(0);
      expect(await text("log-number")).toBe("123,457");
      expect(await overflow(page)).toBe(0);
      expect(await page.title()).toBe("acme · Millrace");
    });

    test("nothing is asked while the page is hidden, and at once when it is back", async () => {
      let asked = 0;
      page.on("request", (request) => {
        if (request.url().endsWith("/api/pipeline")) asked++;
      });
      await open();
      await waitFor("two looks", () => asked >= 2);
      const hide = (hidden: boolean) =>
        page.locator("html").evaluate(({ ownerDocument }, value) => {
          Object.defineProperty(ownerDocument, "hidden", { value, configurable: true });
          ownerDocument.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      await hide(true);
      const before = asked;
      // The stream goes on: some 13 events a second.
      await untilReceived((await count("received")) + 40);
      expect(asked).toBe(before);
      await hide(false);
      await waitFor("a look", () => asked > before);
    });

    test("without the role ops: said, and the company's own numbers", async () => {
      await using server = await startMillrace({ AUTH_MODE: "jwt", JWT_SECRET });
      await page.goto(server.url);
      await page.getByRole("heading", { name: "This server asks who you are" }).waitFor();
      await page.getByLabel("Token").fill(await tokenOf("acme"));
      await page.getByRole("button", { name: "Sign in" }).click();
      await untilState("Live");
      expect(await page.locator("#sources-note").textContent()).toBe(
        "Sources are shown to the role ops. Ask with a token of that role; this is acme alone.",
      );
      await waitFor("its events", async () => (await count("log-number")) > 0);
      expect(await text("log-unit")).toBe("events kept");
      expect(await text("log-facts")).toBe("of acme");
      await waitFor("its stream", async () => (await count("connections-number")) === 1);
      expect(await page.locator(".source").count()).toBe(0);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { name: "This server asks who you are" }).waitFor();
    });
  });

  // The last: it leaves a dead bridge behind, which is told of for a while.
  test("server away and back: said, and resumed by itself without a loss", async () => {
    await open();
    await untilReceived(3);
    await millrace.stop();
    await untilState("Reconnecting");
    await waitFor("the pipeline to look stale", () => page.locator("#pipeline[data-stale=true]").isVisible());
    expect(await text("connection")).toMatch(/^Reconnecting in \d/);
    expect(await page.locator("#rate").getAttribute("data-stale")).toBe("true");
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
    await waitFor("the pipeline", () => page.locator("#pipeline[data-stale=false]").isVisible());
    await waitFor("the badge", async () => (await text("connection")) === "Live");
  });
});
