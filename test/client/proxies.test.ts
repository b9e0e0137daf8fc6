/** What is on the way: a real nginx that holds streams back, and one that upgrades nothing either; and networks that go. */
import type { BrowserContext } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import type { Millrace } from "../browser/browser.ts";
import { type Nginx, startNginx } from "../nginx/nginx.ts";
import { freePort } from "../support/process.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectWhole as expectWholeOf, useTabs } from "./tab-tests.ts";
import { history, openTab, type Tab } from "./tabs.ts";

describe("subscribe", () => {
  let millrace: Millrace;
  let nginx: Nginx;
  let context: BrowserContext;
  let buffering: string;
  let refusing: string;

  afterAll(() => nginx?.[Symbol.asyncDispose]());
  useTabs({
    missing: missing("nginx"),
    async onStart(started) {
      millrace = started;
      const ports = [await freePort(), await freePort()] as const;
      [buffering, refusing] = [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`];
      // What a company's gateway does: takes the whole answer before it passes any of it on.
      const held =
        "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_buffers 8 256k; proxy_buffer_size 256k;";
      nginx = await startNginx({
        http: () => `
          server { listen 127.0.0.1:${ports[0]}; location / {
            proxy_pass ${millrace.url}; ${held} proxy_http_version 1.1; proxy_busy_buffers_size 512k;
            proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
          } }
          server { listen 127.0.0.1:${ports[1]}; location / {
            proxy_pass ${millrace.url}; ${held} proxy_busy_buffers_size 512k; proxy_set_header Host $http_host;
          } }`,
        ports,
      });
    },
    onContext: (made) => {
      context = made;
    },
  });

  const expectWhole = (tab: Tab, least: number) => expectWholeOf(millrace, tab, least);

  test("a proxy that holds server-sent events back: WebSocket, and at once the next time", async () => {
    const tab = await openTab(context, buffering);
    await tab.subscribe({ firstWordMs: 700 });
    expect(await tab.untilLive()).toMatchObject({ transport: "websocket" });
    await expectWhole(tab, 5);
    await tab.page.reload();
    await tab.subscribe({ firstWordMs: 700 });
    await tab.untilLive();
    expect((await tab.heard()).states.map(({ kind }) => kind)).not.toContain("waiting");
    await expectWhole(tab, 5);
  });

  test("a proxy that refuses upgrades too: the log, asked for again and again", async () => {
    const tab = await openTab(context, refusing);
    await tab.subscribe({ firstWordMs: 700, pollMs: 200 });
    expect(await tab.untilLive()).toMatchObject({ transport: "polling" });
    await expectWhole(tab, 5);
  });

  test("a network that goes and comes: offline, then everything missed", async () => {
    const tab = await openTab(context, millrace.url);
    await tab.subscribe();
    await tab.untilHeard(2);
    await context.setOffline(true);
    await waitFor("offline", async () => (await tab.state())?.kind === "offline");
    const { cursors } = await tab.heard();
    await waitFor("events to go by", async () => (await history(millrace.url, cursors.at(-1)!)).length > 5);
    await context.setOffline(false);
    await expectWhole(tab, cursors.length + 6);
  });

  test.each([true, false])(
    "a tab in the page cache holds nothing; when it is shown again it catches up (share: %s)",
    async (share) => {
      const tab = await openTab(context, millrace.url);
      await tab.subscribe({ share });
      await tab.untilHeard(2);
      const before = tab.page.url();
      await tab.page.goto(`${millrace.url}/stream/health`);
      // `goBack` waits for a load that the page cache spares.
      await tab.page.evaluate("history.back()");
      await waitFor("the page of before", async () => tab.page.url() === before);
      await expectWhole(tab, 8);
    },
  );
});
