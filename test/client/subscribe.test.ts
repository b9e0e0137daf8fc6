/** `subscribe` and `openSharedStream` in real tabs, on a whole Millrace whose demo events never stop. */
import type { BrowserContext, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { StreamMessage, StreamState } from "../../web/client/index.ts";
import type { Millrace } from "../browser/browser.ts";
import { waitFor } from "../support/wait.ts";
import { expectWhole as expectWholeOf, useTabs } from "./tab-tests.ts";
import { connections, history, openTab, type Tab } from "./tabs.ts";

/** What a tab heard of a shared stream, as `globalThis.heard`. */
interface HeardSnapshots {
  messages: StreamMessage[];
  states: StreamState[];
}

describe("subscribe", () => {
  let millrace: Millrace;
  let context: BrowserContext;
  useTabs({
    onStart: (started) => {
      millrace = started;
    },
    onContext: (made) => {
      context = made;
    },
  });

  const open = async (wanted: Parameters<Tab["subscribe"]>[0] = {}): Promise<Tab> => {
    const tab = await openTab(context, millrace.url);
    await tab.subscribe(wanted);
    return tab;
  };
  const expectWhole = (tab: Tab, least = 1) => expectWholeOf(millrace, tab, least);

  test("events come over server-sent events, and close ends them", async () => {
    const tab = await open({ types: ["metric_updated", "auth.login"] });
    expect(await tab.untilLive()).toMatchObject({ transport: "sse", shared: false });
    const { types } = await tab.untilHeard(3);
    expect([...new Set(types)].filter((type) => !["metric_updated", "auth.login"].includes(type))).toEqual(
      [],
    );
    await waitFor("one connection", async () => (await connections(millrace.url)) === 1);
    await tab.page.evaluate("subscription.close(); subscription.close()");
    expect((await tab.state())?.kind).toBe("closed");
    await waitFor("no connection", async () => (await connections(millrace.url)) === 0);
  });

  test("tabs share one connection; the one that holds it is closed, and the others lose nothing", async () => {
    const leader = await open();
    await leader.untilHeard(2);
    const [second, third] = [await open(), await open()];
    await second.untilHeard(2);
    await third.untilHeard(2);
    await waitFor("one connection", async () => (await connections(millrace.url)) === 1);
    expect(await second.state()).toMatchObject({ kind: "live", shared: true });
    await leader.page.close();
    await waitFor("another one to hold it", async () =>
      (await Promise.all([second, third].map((tab) => tab.state()))).some(
        (state) => state?.kind === "live" && !state.shared,
      ),
    );
    for (const tab of [second, third]) await expectWhole(tab, (await tab.heard()).cursors.length + 8);
    await waitFor("one connection", async () => (await connections(millrace.url)) === 1);
  });

  test("a reload goes on where the tab was, and misses nothing", async () => {
    const tab = await open();
    await tab.untilHeard(3);
    await tab.page.evaluate(
      `addEventListener("pagehide", () => sessionStorage.setItem("before", JSON.stringify(heard.cursors)))`,
    );
    await tab.page.reload();
    const before: string[] = JSON.parse(await tab.page.evaluate("sessionStorage.getItem('before')"));
    await waitFor("events to go by", async () => (await history(millrace.url, before.at(-1)!)).length > 3);
    await tab.subscribe();
    const whole = [...before, ...(await tab.untilHeard(5)).cursors];
    const log = await history(millrace.url, whole[0]!);
    expect(whole.slice(1)).toEqual(log.slice(0, whole.length - 1));
  });

  test("what is kept is of one company and one filter", async () => {
    const tab = await open();
    await tab.untilHeard(1);
    await tab.page.reload();
    for (const other of [
      { companyId: "globex" },
      { types: ["metric_updated"] },
      { resume: false as const },
    ]) {
      await tab.subscribe(other);
      const first = (await tab.untilHeard(0)).states[0];
      await waitFor("a first state", async () => (await tab.state()) !== undefined);
      expect((await tab.heard()).states[0], JSON.stringify([other, first])).toMatchObject({
        resumeAfter: "",
      });
      await tab.page.evaluate("subscription.close()");
    }
  });

  test("storage that holds nonsense is said to be a gap; storage that throws is done without", async () => {
    const tab = await open();
    await tab.untilHeard(1);
    await tab.page.reload();
    await tab.page.evaluate(
      `Object.keys(sessionStorage).forEach((key) => sessionStorage.setItem(key, "nonsense"))`,
    );
    await tab.subscribe();
    expect((await tab.untilHeard(2)).gaps).toEqual(["reset"]);
    await tab.page.evaluate("subscription.close()");
    await tab.page.evaluate(
      `Object.defineProperty(globalThis, "sessionStorage", { get() { throw new Error("no storage") } })`,
    );
    await tab.subscribe();
    expect((await tab.untilHeard(2)).gaps).toEqual([]);
  });

  test("a cursor of another log is a gap; one that can be none is refused", async () => {
    const tab = await open({ after: "other.1-0", share: false });
    expect((await tab.untilHeard(1)).gaps).toEqual(["reset"]);
    await tab.page.evaluate("subscription.close()");
    await tab.subscribe({ after: "no cursor", share: false });
    await waitFor("the refusal", async () => (await tab.state())?.kind === "refused");
    expect(await tab.state()).toMatchObject({ status: 400 });
  });

  test("a frame that may have no locks has a connection of its own, and goes on answering", async () => {
    const { page } = await openTab(context, millrace.url);
    await page.evaluate(`
      const frame = document.createElement("iframe");
      frame.sandbox.add("allow-scripts");
      frame.srcdoc = "<p>a frame of an origin of its own";
      document.body.append(frame);
    `);
    const frame = await waitFor("the frame", () => page.frames()[1]);
    await frame.waitForLoadState();
    await frame.evaluate((url) => {
      const { millrace: library } = globalThis as unknown as {
        millrace: typeof import("../../web/client/index.ts");
      };
      const states: string[] = [];
      Object.assign(globalThis, {
        states,
        subscription: library.subscribe({
          ...{ url, companyId: "acme", onEvent() {} },
          onState: ({ kind }) => states.push(kind),
        }),
      });
    }, millrace.url);
    // Without CORS for its origin it is not let in; a frame that hangs says nothing at all.
    const states = () =>
      Promise.race([
        frame.evaluate("states") as Promise<string[]>,
        new Promise<string[]>((_, reject) => setTimeout(reject, 3000, new Error("it hangs"))),
      ]);
    await waitFor("an answer", async () => (await states()).includes("waiting"), { timeoutMs: 8000 });
    await frame.evaluate("subscription.close()");
    expect((await states()).at(-1)).toBe("closed");
  });

  test("a tab that joins with a cursor of its own is given what is between", async () => {
    const leader = await open();
    const { cursors } = await leader.untilHeard(8);
    const late = await open({ after: cursors[0]! });
    await late.untilHeard(10);
    expect((await late.heard()).cursors.slice(0, 7)).toEqual(cursors.slice(1, 8));
    await expectWhole(late);
    expect(await late.state()).toMatchObject({ shared: true });
  });

  test("a tab that is frozen hands over, and catches up when it wakes", async () => {
    const leader = await open();
    await leader.untilHeard(2);
    const other = await open();
    await other.untilHeard(1);
    // A headless page is always visible, and no visible page freezes: these are the events alone.
    await leader.page.evaluate(`document.dispatchEvent(new Event("freeze"))`);
    await waitFor("another one to hold it", async () => {
      const state = await other.state();
      return state?.kind === "live" && !state.shared;
    });
    await expectWhole(other, (await other.heard()).cursors.length + 5);
    const { cursors } = await leader.heard();
    await leader.page.evaluate(`document.dispatchEvent(new Event("resume"))`);
    expect(cursors).not.toContain((await other.heard()).cursors.at(-1));
    await expectWhole(leader, (await other.heard()).cursors.length);
    expect(await leader.state()).toMatchObject({ shared: true });
  });

  test("a tab that answers nothing any more loses the connection to another, and still has every event", async () => {
    const leader = await open();
    await leader.untilHeard(2);
    const client = await context.newCDPSession(leader.page);
    await client.send("Debugger.enable");
    const paused = new Promise((resolve) => client.once("Debugger.paused", resolve));
    await client.send("Debugger.pause");
    await paused;
    const other = await open();
    await expectWhole(other, 3);
    expect(await other.state()).toMatchObject({ shared: false });
    await client.send("Debugger.disable");
    await expectWhole(leader, 12);
    await waitFor("one connection", async () => (await connections(millrace.url)) === 1);
  });

  async function openDashboard(): Promise<Page> {
    const { page } = await openTab(context, millrace.url);
    await page.evaluate(() => {
      const { millrace: library } = globalThis as unknown as {
        millrace: typeof import("../../web/client/shared-stream.ts");
      };
      const record: HeardSnapshots = { messages: [], states: [] };
      Object.assign(globalThis, {
        heard: record,
        stream: library.openSharedStream("/stream/dashboard?companyId=acme", {
          onMessage: (message) => record.messages.push(message),
          onState: (state) => record.states.push(state),
        }),
      });
    });
    return page;
  }
  const snapshots = (page: Page) =>
    page.evaluate(() => (globalThis as unknown as { heard: HeardSnapshots }).heard);
  const untilSnapshots = (page: Page, count: number) =>
    waitFor(`${count} snapshots`, async () => (await snapshots(page)).messages.length >= count);

  test("openSharedStream: tabs share one connection; who joins is shown the newest snapshot; who leads may go", async () => {
    /** Requests for the stream that are still open. */
    const open = new Set<unknown>();
    context.on("request", (request) => {
      if (request.url().includes("/stream/dashboard")) open.add(request);
    });
    context.on("requestfinished", (request) => open.delete(request));
    context.on("requestfailed", (request) => open.delete(request));
    const first = await openDashboard();
    await untilSnapshots(first, 1);
    const second = await openDashboard();
    await untilSnapshots(second, 1);
    expect((await snapshots(second)).states.map(({ kind }) => kind)).toEqual(["connecting", "live"]);
    const [a, b] = [await snapshots(first), await snapshots(second)];
    expect(a.messages.map(({ data }) => data)).toContain(b.messages[0]?.data);
    await waitFor("one connection", () => open.size === 1);
    await first.close();
    const before = (await snapshots(second)).messages.length;
    await untilSnapshots(second, before + 2);
    await second.evaluate("stream.close()");
    expect((await snapshots(second)).states.at(-1)?.kind).toBe("closed");
    await waitFor("no connection", () => open.size <= 1);
  });

  test("openSharedStream: a tab that led, was frozen and wakes is shown what another one leads", async () => {
    const first = await openDashboard();
    await untilSnapshots(first, 1);
    const second = await openDashboard();
    await untilSnapshots(second, 1);
    await first.evaluate(`document.dispatchEvent(new Event("freeze"))`);
    await untilSnapshots(second, (await snapshots(second)).messages.length + 2);
    const before = (await snapshots(first)).messages.length;
    await first.evaluate(`document.dispatchEvent(new Event("resume"))`);
    await untilSnapshots(first, before + 3);
    expect((await snapshots(first)).states.at(-1)?.kind).toBe("live");
  });

  test("a server that is killed and started again: every event once", async () => {
    const tab = await open();
    await tab.untilHeard(3);
    await millrace.stop();
    await waitFor("the cut", async () => (await tab.state())?.kind === "waiting");
    await millrace.startAgain();
    const { cursors } = await tab.heard();
    await expectWhole(tab, cursors.length + 10);
  });
});
