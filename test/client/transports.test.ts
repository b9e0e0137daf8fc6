/** What is tried when streams are held back, against a server that holds them back: in Node, where a connection is the same as in a page. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Subscription, type SubscriptionState, subscribe } from "../../web/client/index.ts";
import { waitFor } from "../support/wait.ts";
import { useServer } from "./http-server.ts";

/** Paths that were asked for, each with its token. */
let asked: string[] = [];
/** Tokens that are refused. */
let ended = new Set<string>();
const types = ["a", "b", "a"];

const server = useServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://a");
  const token = request.headers.authorization?.slice("Bearer ".length) ?? "";
  asked.push(`${pathname} ${searchParams.get("after") ?? ""} ${token}`);
  if (ended.has(token)) return response.writeHead(401).end("{}");
  if (pathname === "/stream/updates") {
    return response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  }
  if (pathname !== "/stream/history") return response.writeHead(403).end("{}");
  const after = searchParams.get("after");
  const from = after === "latest" ? 0 : Number(after?.slice(2, -2));
  const events = types.map((type, n) => ({ cursor: `e.${n + 1}-0`, type, data: n + 1 })).slice(from);
  const page = { events: after === "latest" ? [] : events, next: `e.${after === "latest" ? 0 : 3}-0` };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ ...page, more: false }));
});

describe("subscribe, where streams are held back", () => {
  const { WebSocket } = globalThis;
  let subscription: Subscription | undefined;
  let states: SubscriptionState[];
  let heard: unknown[];
  beforeEach(() => {
    [asked, ended, states, heard] = [[], new Set(), [], []];
    // What worked before is remembered; Node has such a storage from 25 on.
    globalThis.sessionStorage?.clear();
  });
  afterEach(() => {
    subscription?.close();
    globalThis.WebSocket = WebSocket;
  });

  const open = (options: Partial<Parameters<typeof subscribe>[0]> = {}): void => {
    subscription = subscribe({
      ...{
        url: server.url,
        companyId: "acme",
        share: false,
        resume: false,
        firstWordMs: 50,
        pollMs: 10,
        ...options,
      },
      onEvent: ({ data }) => heard.push(data),
      onState: (state) => states.push(state),
    });
  };
  const polling = () =>
    waitFor("polling", () => states.some((state) => state.kind === "live" && state.transport === "polling"));
  const history = () => asked.filter((line) => line.startsWith("/stream/history"));

  test("polls where no ticket is given, with one token until that is refused", async () => {
    let tokens = 0;
    // Of one reader, whatever is behind.
    const tokenOf = (n: number): string => `.${btoa('{"sub":"anna"}')}.${n}`;
    open({ getToken: () => tokenOf(tokens++) });
    await polling();
    await waitFor("some looks", () => history().length > 5);
    const last = tokens - 1;
    expect(history()[0]).toBe(`/stream/history latest ${tokenOf(last)}`);
    expect(history()[5]).toBe(`/stream/history e.3-0 ${tokenOf(last)}`);
    ended.add(tokenOf(last));
    await waitFor("the next token", () =>
      history()
        .at(-1)
        ?.endsWith(tokenOf(last + 1)),
    );
    expect(heard).toEqual([1, 2, 3]);
    expect(states.map(({ kind }) => kind)).toEqual(["connecting", "live"]);
  });

  test("gets through with tokens that do not say whose they are, each another one", async () => {
    let tokens = 0;
    open({ getToken: () => `token${tokens++}` });
    await polling();
    await waitFor("the events", () => heard.length === 3);
  });

  test("polls where no WebSocket can be made", async () => {
    globalThis.WebSocket = class {
      constructor() {
        throw new DOMException("Refused by the page's Content-Security-Policy", "SecurityError");
      }
    } as unknown as typeof WebSocket;
    open();
    await polling();
    await waitFor("the events", () => heard.length === 3);
  });

  test("no types are all types, whatever carries them", async () => {
    open({ types: [] });
    await waitFor("the events", () => heard.length === 3);
  });
});
