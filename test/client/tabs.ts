/** Tabs of a real Chromium with the client library in them, and what each of them heard. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type { SubscribeOptions, SubscriptionState } from "../../web/client/index.ts";
import { waitFor } from "../support/wait.ts";

const LIBRARY = fileURLToPath(new URL("../../web/client", import.meta.url));

/** With the page cache, which playwright switches off. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
}

/** The library as one script that sets `millrace`. */
export async function libraryScript(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: 'export * from "./index.ts"; export * from "./shared-stream.ts";',
      resolveDir: LIBRARY,
      loader: "ts",
    },
    ...{ bundle: true, format: "iife", globalName: "millrace", target: "es2022", write: false },
  });
  return `${outputFiles[0]?.text}; globalThis.millrace = millrace;`;
}

/** What a tab heard, as `globalThis.heard`. */
export interface Heard {
  cursors: string[];
  types: string[];
  gaps: string[];
  states: SubscriptionState[];
  tokens: string[];
}

export type Wanted = Partial<
  Omit<SubscribeOptions, "onEvent" | "onGap" | "onState" | "getToken" | "resume">
> & {
  /** Given by `getToken`, one after the other; the last again and again. */
  readonly tokens?: readonly string[];
};

export interface Tab {
  readonly page: Page;
  subscribe(wanted?: Wanted): Promise<void>;
  heard(): Promise<Heard>;
  state(): Promise<SubscriptionState | undefined>;
  /** Waits for that many events, and for all states to have come. */
  untilHeard(count: number): Promise<Heard>;
  untilLive(): Promise<SubscriptionState & { kind: "live" }>;
}

/** A new tab on a path of the server that runs no script of its own, and that the page cache takes. */
export async function openTab(context: BrowserContext, url: string, path = "/openapi.json"): Promise<Tab> {
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error.stack)));
  await page.goto(url + path);
  const heard = () => page.evaluate(() => (globalThis as unknown as { heard: Heard }).heard);
  const tab: Tab = {
    page,
    heard,
    subscribe: (wanted = {}) =>
      page.evaluate(({ tokens, ...options }) => {
        const { millrace } = globalThis as unknown as {
          millrace: typeof import("../../web/client/index.ts");
        };
        const record: Heard = { cursors: [], types: [], gaps: [], states: [], tokens: [] };
        let asked = 0;
        Object.assign(globalThis, {
          heard: record,
          subscription: millrace.subscribe({
            url: "/",
            companyId: "acme",
            ...options,
            ...(tokens
              ? {
                  getToken(why: string) {
                    record.tokens.push(why);
                    return tokens[Math.min(asked++, tokens.length - 1)];
                  },
                }
              : {}),
            onEvent({ cursor, type }) {
              record.cursors.push(cursor);
              record.types.push(type);
            },
            onGap: ({ reason }) => record.gaps.push(reason),
            onState: (state) => record.states.push(state),
          }),
        });
      }, wanted as Wanted),
    state: async () => (await heard()).states.at(-1),
    untilHeard: (count) =>
      waitFor(`${count} events`, async () => {
        const now = await heard();
        return now.cursors.length >= count ? now : undefined;
      }).catch(async (cause: unknown) => {
        throw new Error(`${errors} ${JSON.stringify({ ...(await heard()), count }).slice(-2000)}`, { cause });
      }),
    untilLive: () =>
      waitFor("live", async () => {
        const state = await tab.state();
        return state?.kind === "live" ? state : undefined;
      }).catch(async (cause: unknown) => {
        throw new Error(`${errors} ${JSON.stringify((await heard()).states).slice(-2000)}`, { cause });
      }),
  };
  return tab;
}

/** The cursors of a company's log behind one of them. */
export async function history(
  url: string,
  after: string,
  { company = "acme", headers = {} }: { company?: string; headers?: Record<string, string> } = {},
): Promise<string[]> {
  const cursors: string[] = [];
  for (let next = after; ; ) {
    const query = new URLSearchParams({ companyId: company, after: next, limit: "500" });
    const response = await fetch(`${url}/stream/history?${query}`, { headers });
    const page = (await response.json()) as { events: { cursor: string }[]; next: string; more: boolean };
    cursors.push(...page.events.map(({ cursor }) => cursor));
    next = page.next;
    if (!page.more) return cursors;
  }
}

/** Streams of events that the server has open, of all companies. */
export async function connections(url: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${url}/stream/stats`, { headers });
  const stats = (await response.json()) as { connections: { totalConnections: number } };
  return stats.connections.totalConnections;
}
