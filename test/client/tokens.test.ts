/** Who is asking: tokens that end, that are refused, and tabs of different readers. */
import { SignJWT } from "jose";
import type { BrowserContext } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Millrace } from "../browser/browser.ts";
import { waitFor } from "../support/wait.ts";
import { expectWhole as expectWholeOf, useTabs } from "./tab-tests.ts";
import { connections, openTab, type Tab } from "./tabs.ts";

const SECRET = "a secret of the tests, long enough for HS256";

/** A token of that reader, good for so many seconds. */
function tokenOf(sub: string, seconds: number, companies = ["acme"]): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ companies })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt(now)
    .setExpirationTime(now + seconds)
    .sign(new TextEncoder().encode(SECRET));
}

describe("subscribe, to who shows a token", () => {
  let millrace: Millrace;
  let context: BrowserContext;
  let headers: Record<string, string>;
  useTabs({
    settings: { AUTH_MODE: "jwt", JWT_SECRET: SECRET },
    async onStart(started) {
      millrace = started;
      headers = { authorization: `Bearer ${await tokenOf("somebody", 3600)}` };
    },
    onContext: (made) => {
      context = made;
    },
  });

  async function open(wanted: Parameters<Tab["subscribe"]>[0]): Promise<Tab> {
    const tab = await openTab(context, millrace.url);
    await tab.subscribe(wanted);
    return tab;
  }
  const expectWhole = (tab: Tab, least: number) => expectWholeOf(millrace, tab, least, headers);
  const liveAgain = (tab: Tab, times: number) =>
    waitFor(`live ${times} times`, async () => {
      const { states } = await tab.heard();
      return states.filter(({ kind }) => kind === "live").length >= times;
    });

  test.each(["sse", "websocket"] as const)("a stream over %s outlives its token", async (transport) => {
    const tab = await openTab(context, millrace.url);
    if (transport === "websocket") {
      const worked = `millrace:transport:${millrace.url}`;
      await tab.page.evaluate(`sessionStorage.setItem("${worked}", "1 ${Date.now() + 1e6}")`);
    }
    const until = Date.now() + 2000 + 5000;
    await tab.subscribe({ tokens: [await tokenOf("anna", 2), await tokenOf("anna", 3600)] });
    expect(await tab.untilLive()).toMatchObject({ transport });
    await waitFor("the token's end", () => Date.now() > until + 1000);
    const { states, tokens } = await tab.heard();
    expect(tokens).toEqual(["connect", "renew"]);
    expect(states.map(({ kind }) => kind)).toEqual(["connecting", "connecting", "live"]);
    await expectWhole(tab, 10);
  });

  test("a token that is refused is asked for once more; refused again it is final", async () => {
    const good = await tokenOf("anna", 3600);
    const tab = await open({ tokens: ["bad", good], share: false });
    await tab.untilLive();
    expect((await tab.heard()).tokens).toEqual(["connect", "refused", "connect"]);
    const other = await open({ tokens: ["bad", "bad"], share: false });
    await waitFor("the refusal", async () => (await other.state())?.kind === "refused");
    expect(await other.state()).toMatchObject({ status: 401 });
  });

  test("a company of others is refused", async () => {
    const tab = await open({ tokens: [await tokenOf("anna", 3600)], companyId: "initech" });
    await waitFor("the refusal", async () => (await tab.state())?.kind === "refused");
    expect(await tab.state()).toMatchObject({ status: 403 });
  });

  test("tabs of one reader share a connection, with whatever tokens; tabs of two do not", async () => {
    const anna = await open({ tokens: [await tokenOf("anna", 3600)] });
    await anna.untilHeard(1);
    const again = await open({ tokens: [await tokenOf("anna", 1800)] });
    await again.untilHeard(1);
    expect(await again.state()).toMatchObject({ shared: true });
    const bert = await open({ tokens: [await tokenOf("bert", 3600)] });
    expect(await bert.untilLive()).toMatchObject({ shared: false });
    await waitFor("two connections", async () => (await connections(millrace.url, headers)) === 2);
  });

  test("a tab whose own token is no good is shown nothing, whoever shares", async () => {
    const anna = await open({ tokens: [await tokenOf("anna", 3600)] });
    await anna.untilHeard(1);
    const bad = await open({ tokens: [`${await tokenOf("anna", 1800)}x`] });
    await waitFor("the refusal", async () => (await bad.state())?.kind === "refused");
    const { cursors, states } = await bad.heard();
    expect(cursors).toEqual([]);
    expect(states.map(({ kind }) => kind)).not.toContain("live");
  });

  test("when somebody else logs in, the stream is begun anew as theirs", async () => {
    const [anna, bert] = [await tokenOf("anna", 3600), await tokenOf("bert", 3600)];
    const tab = await open({ tokens: [anna, bert] });
    const other = await open({ tokens: [anna] });
    await tab.untilHeard(1);
    await other.untilHeard(1);
    await context.setOffline(true);
    await waitFor("offline", async () => (await tab.state())?.kind === "offline");
    await context.setOffline(false);
    await liveAgain(tab, 2);
    await expectWhole(tab, (await tab.heard()).cursors.length + 3);
    expect(await tab.state()).toMatchObject({ shared: false });
    await waitFor("two connections", async () => (await connections(millrace.url, headers)) === 2);
  });
});
