/** The tab that listens, against a log that grows, pages that come late, and leaders that begin anew behind or before it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFollower, type Follower } from "../../web/client/follower.ts";
import type { Item } from "../../web/client/item.ts";
import { waitFor } from "../support/wait.ts";
import { useServer } from "./http-server.ts";

/** Events of a page: few, so that there are many pages. */
const PAGE = 3;
const cursorOf = (n: number): string => `e.${n}-0`;
const numberOf = (cursor: string): number => Number(/^e\.(\d+)-0$/.exec(cursor)?.[1]);

let logEnd = 0;
/** What the log was made anew behind; 0: never. */
let oldest = 0;
let status = 200;

const server = useServer((request, response) => {
  if (status !== 200) return response.writeHead(status).end("{}");
  const cursor = new URL(request.url ?? "", "http://a").searchParams.get("after") ?? "";
  const requested = cursor === "latest" ? logEnd : numberOf(cursor);
  const after = Math.max(requested, oldest);
  const gap =
    after > requested ? { reason: "reset", requested: cursor, resumedAt: cursorOf(after + 1) } : undefined;
  const count = Math.max(0, Math.min(PAGE, logEnd - after));
  const events = Array.from({ length: count }, (_, n) => ({
    cursor: cursorOf(after + n + 1),
    type: "a",
    data: after + n + 1,
  }));
  const next = cursorOf(after + count);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ events, next, more: after + count < logEnd, gap }));
});

interface Listening {
  readonly follower: Follower;
  readonly delivered: number[];
  gaps: number;
  cursor: string;
  ready: number;
  refused: number;
}

function listen(cursor: string): Listening {
  const state = { cursor, delivered: [] as number[], gaps: 0, ready: 0, refused: 0 };
  const follower = createFollower({
    request: { url: server.url, companyId: "acme", types: undefined, getToken: undefined },
    cursor: () => state.cursor,
    deliver(item) {
      state.cursor = item.cursor;
      if (item.gap) state.gaps++;
      if (item.type) state.delivered.push(item.data as number);
    },
    onReady: () => state.ready++,
    onRefused: () => state.refused++,
  });
  return Object.assign(state, { follower });
}

/** Events from `first` up to `last`, as a leader relays them; sometimes events of other types come before. */
function items(first: number, last: number): Item[] {
  const all: Item[] = [];
  for (let n = first; n <= last; n++) {
    all.push({ cursor: cursorOf(n), prev: cursorOf(n - 1), type: "a", data: n });
  }
  return all;
}

const step = fc.oneof(
  fc.record({ kind: fc.constant("grow" as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant("relay" as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant("lead" as const), back: fc.integer({ min: -4, max: 8 }) }),
  fc.record({ kind: fc.constant("say" as const) }),
  fc.record({ kind: fc.constant("pass" as const), turns: fc.integer({ min: 0, max: 4 }) }),
);

describe("createFollower", () => {
  test("every event behind its cursor once and in order, whatever is relayed when", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.array(step, { maxLength: 25 }),
        async (from, steps) => {
          logEnd = 10;
          let leader = 10;
          const tab = listen(cursorOf(from));
          tab.follower.at(cursorOf(leader));
          for (const now of steps) {
            if (now.kind === "grow") logEnd += now.count;
            if (now.kind === "relay") {
              const last = Math.min(logEnd, leader + now.count);
              tab.follower.relay(items(leader + 1, last));
              leader = last;
            }
            // Another tab leads, which was behind or before the last one.
            if (now.kind === "lead") leader = Math.min(logEnd, Math.max(0, leader - now.back));
            if (now.kind === "lead" || now.kind === "say") tab.follower.at(cursorOf(leader));
            if (now.kind === "pass") {
              for (let turn = 0; turn < now.turns; turn++)
                await new Promise((resolve) => setTimeout(resolve, 1));
            }
          }
          tab.follower.relay(items(leader + 1, logEnd));
          await waitFor("the end of the log", () => tab.cursor === cursorOf(logEnd), { everyMs: 1 });
          tab.follower.stop();
          expect(tab.delivered).toEqual(Array.from({ length: logEnd - from }, (_, n) => from + n + 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("nothing is shown before the server has let this tab in", async () => {
    logEnd = 2;
    status = 403;
    const tab = listen("");
    tab.follower.at(cursorOf(1));
    tab.follower.relay(items(2, 2));
    await waitFor("the refusal", () => tab.refused === 1);
    expect(tab.delivered).toEqual([]);
    expect(tab.ready).toBe(0);
    status = 200;
    tab.follower.stop();
  });

  test("a tab without a cursor begins now, wherever the leader is, and is given what comes after once", async () => {
    logEnd = 10;
    const tab = listen("");
    tab.follower.at(cursorOf(2));
    tab.follower.relay(items(3, 5));
    await waitFor("the end of the log", () => tab.cursor === cursorOf(10));
    tab.follower.relay(items(6, 10));
    logEnd = 12;
    tab.follower.relay(items(11, 12));
    await waitFor("what came after", () => tab.cursor === cursorOf(12));
    expect(tab.delivered).toEqual([11, 12]);
    tab.follower.stop();
  });

  test("a leader that knows no cursor yet is not waited for", async () => {
    logEnd = 2;
    const tab = listen("");
    tab.follower.at("");
    await waitFor("its place", () => tab.ready === 1);
    logEnd = 3;
    tab.follower.relay([{ cursor: cursorOf(2), prev: "" }, ...items(3, 3)]);
    await waitFor("the event", () => tab.delivered.length === 1);
    expect(tab.delivered).toEqual([3]);
    tab.follower.stop();
  });

  test.each(["before", "after"])(
    "a gap is told once, also when it is relayed %s the log has said it",
    async (when) => {
      [logEnd, oldest] = [8, 6];
      const tab = listen(cursorOf(2));
      const gap = { reason: "reset", requested: cursorOf(2), resumedAt: cursorOf(7) };
      const relayed = [{ cursor: cursorOf(6), prev: cursorOf(2), gap }, ...items(7, 8)];
      tab.follower.at(cursorOf(2));
      if (when === "before") tab.follower.relay(relayed);
      await waitFor("the log", () => tab.cursor === cursorOf(8));
      if (when === "after") tab.follower.relay(relayed);
      logEnd = 9;
      tab.follower.relay(items(9, 9));
      await waitFor("the next event", () => tab.cursor === cursorOf(9));
      oldest = 0;
      expect(tab).toMatchObject({ gaps: 1, delivered: [7, 8, 9] });
      tab.follower.stop();
    },
  );
});
