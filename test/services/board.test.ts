/** The board of services, on real logs. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { type BoardOptions, createBoard } from "../../functions/services/board.ts";
import { redisStore, type Store, sqliteStore } from "../counters/counters-support.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { statusOf, watchBoard } from "./services-support.ts";

describe.each([
  ["the embedded log", undefined, sqliteStore],
  ["Redis", missing("redis-server"), redisStore],
] as const)("createBoard on %s", (_name, skip, openStore: () => Promise<Store>) => {
  let stack: AsyncDisposableStack;
  let store: Store;
  let log: EventLog;
  beforeEach(async (context) => {
    stack = new AsyncDisposableStack();
    if (skip) context.skip(skip);
    store = stack.use(await openStore());
    log = await store.open();
  });
  afterEach(() => stack.disposeAsync());

  const logger = recordingLogger();
  const boardOn = (on: BoardOptions["log"], options: Partial<BoardOptions> = {}) =>
    stack.use(
      createBoard({
        ...{ log: on, logger, heartbeatMs: 60_000, idleTimeoutMs: 60_000, maxConnectionAgeMs: 0 },
        ...{ maxConnectionsPerCompany: 100, ...options },
      }),
    );
  /** Counts what is asked of the log. */
  const counting = () => {
    const asked = { reads: 0, tails: 0, ended: 0 };
    const counted: BoardOptions["log"] = {
      tallies: (company) => log.tallies(company),
      latest: (...args) => log.latest(...args),
      read(...args) {
        asked.reads++;
        return log.read(...args);
      },
      tail(company, after, signal) {
        asked.tails++;
        signal.addEventListener("abort", () => asked.ended++);
        return log.tail(company, after, signal);
      },
    };
    return { asked, counted };
  };

  it("begins with what each service said last, however long ago, then says what changes", async () => {
    const sms = { sent: 5, delivered: 4, failed: 1 };
    await log.append([
      statusOf("balance-sync", { queueSize: 1 }),
      statusOf("enrichment", { state: "idle", sms }),
      statusOf("balance-sync", { queueSize: 2, processed: 10, progress: { done: 1, total: 4 } }),
    ]);
    const board = boardOn(log);
    const watcher = watchBoard(board);
    const { services, sms: told, timestamp } = await watcher.snapshot();
    expect(services).toEqual([
      {
        ...{ name: "balance-sync", state: "running", silent: false, queueSize: 2, processed: 10 },
        ...{ progress: { done: 1, total: 4 }, interval: 60, lastRun: null },
        lastSeen: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
      expect.objectContaining({ name: "enrichment", state: "idle", sms: { ...sms, providers: {} } }),
    ]);
    expect(told).toEqual({ ...sms, providers: {} });
    expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(5_000);

    const [, late] = [await log.append([statusOf("enrichment", { queueSize: 7 })]), watchBoard(board)];
    await watcher.change("the change", ({ name, queueSize }) => name === "enrichment" && queueSize === 7);
    expect(watcher.snapshots()).toHaveLength(1);
    expect((await late.snapshot()).services.map(({ name }) => name)).toEqual(["balance-sync", "enrichment"]);
    expect(watcher.heard.map(({ name }) => name)).toEqual(["snapshot", "service_status"]);
  });

  it("of an empty log says so, and hears of the first service", async () => {
    const watcher = watchBoard(boardOn(log));
    expect(await watcher.snapshot()).toEqual({ services: [], sms: null, timestamp: expect.any(String) });
    await log.append([statusOf("first")]);
    await watcher.change("the first", ({ name }) => name === "first");
  });

  it("shows one that is silent for three intervals as stopped, and as it is when it says something again", async () => {
    await log.append([
      statusOf("quick", { interval: 0.3 }),
      statusOf("slow", { interval: 600 }),
      statusOf("never", { interval: undefined }),
      statusOf("ended", { interval: 0.1, state: "stopped" }),
    ]);
    const board = boardOn(log, { heartbeatMs: 200 });
    const watcher = watchBoard(board);
    await watcher.snapshot();
    const gone = await watcher.change("silence", ({ silent }) => silent);
    expect(gone).toMatchObject({ name: "quick", state: "stopped", silent: true });
    // Who comes after it is told the same.
    const late = watchBoard(board);
    expect((await late.snapshot()).services.map(({ name, state, silent }) => [name, state, silent])).toEqual([
      ["ended", "stopped", false],
      ["never", "running", false],
      ["quick", "stopped", true],
      ["slow", "running", false],
    ]);
    await log.append([statusOf("quick", { interval: 60, queueSize: 3 })]);
    const back = await watcher.change("it to be back", ({ silent, queueSize }) => !silent && queueSize === 3);
    expect(back).toMatchObject({ name: "quick", state: "running" });
    expect(watcher.changes().map(({ name }) => name)).toEqual(["quick", "quick"]);
  });

  it("finds a service that spoke long before many others, and says nothing of what is no status", async () => {
    await log.append([statusOf("rare", { interval: 86_400 })]);
    for (let page = 0; page < 4; page++) {
      await log.append(
        Array.from({ length: 700 }, (_, n) => statusOf("busy", { queueSize: page * 700 + n })),
      );
    }
    await log.append([
      parseEvent({
        ...{ companyId: "_operations", type: "audit.txn", source: "/t", id: "x" },
        dataText: "{}",
      }),
    ]);
    const { services } = await watchBoard(boardOn(log)).snapshot();
    expect(services.map(({ name, queueSize }) => [name, queueSize])).toEqual([
      ["busy", 2_799],
      ["rare", null],
    ]);
  });

  it("follows the log while somebody watches, once for all, and goes on where it was", async () => {
    await log.append(Array.from({ length: 1_200 }, (_, n) => statusOf("one", { queueSize: n })));
    const { asked, counted } = counting();
    const board = boardOn(counted);
    expect(asked).toEqual({ reads: 0, tails: 0, ended: 0 });
    const watchers = Array.from({ length: 5 }, () => watchBoard(board));
    for (const watcher of watchers) await watcher.snapshot();
    expect([asked.tails, asked.ended, board.stats().watchers]).toEqual([1, 0, 5]);
    for (const { joined } of watchers) {
      joined.leave();
      joined.leave();
    }
    expect([asked.tails, asked.ended, board.stats().watchers]).toEqual([1, 1, 0]);
    const before = asked.reads;
    await log.append([statusOf("two")]);
    const again = watchBoard(board);
    expect((await again.snapshot()).services.map(({ name }) => name)).toEqual(["one", "two"]);
    // What was said meanwhile, and not the whole log again.
    expect(asked.reads - before).toBe(1);
    expect([asked.tails, asked.ended]).toEqual([2, 1]);
  });

  it("gives one that was full the newest of each service and nothing in between", async () => {
    const board = boardOn(log);
    let isFull = false;
    const slow = watchBoard(board, { takes: () => !isFull });
    const quick = watchBoard(board);
    await Promise.all([slow.snapshot(), quick.snapshot()]);
    isFull = true;
    await log.append([statusOf("a", { queueSize: -1 }), statusOf("b", { queueSize: 0 })]);
    await waitFor("it to be full", () => slow.writes() === 2);
    for (let n = 1; n <= 30; n++) {
      await log.append([statusOf("a", { queueSize: n }), statusOf("b", { queueSize: n })]);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await quick.change("the last", ({ name, queueSize }) => name === "b" && queueSize === 30);
    expect(slow.writes()).toBe(2);
    isFull = false;
    slow.sink.onDrain();
    expect(slow.writes()).toBe(3);
    expect(slow.changes().map(({ name, queueSize }) => [name, queueSize])).toEqual([
      ["a", null],
      ["b", 0],
      ["a", 30],
      ["b", 30],
    ]);
    // What comes close together is said once.
    expect(quick.writes()).toBeLessThan(20);
    await log.append([statusOf("a", { queueSize: 31 })]);
    await slow.change("it to go on", ({ queueSize }) => queueSize === 31);
  });

  it("keeps a thousand services: the one unheard of for the longest makes room", async () => {
    await log.append(Array.from({ length: 1_000 }, (_, n) => statusOf(`s-${n}`)));
    await log.append([statusOf("s-0"), statusOf("new")]);
    const { services } = await watchBoard(boardOn(log)).snapshot();
    const names = new Set(services.map(({ name }) => name));
    expect([names.size, names.has("s-0"), names.has("new"), names.has("s-1")]).toEqual([
      1_000,
      true,
      true,
      false,
    ]);
  });

  it("sends heartbeats, and away who is old or takes nothing; drains, and refuses over its bound", async () => {
    const board = boardOn(log, {
      ...{ heartbeatMs: 80, idleTimeoutMs: 200, maxConnectionsPerCompany: 2 },
    });
    let isFull = false;
    const stuck = watchBoard(board, { takes: () => !isFull });
    await stuck.snapshot();
    const quiet = watchBoard(board);
    expect(board.refusal()).toBe("busy");
    expect(board.refusal(3)).toBeUndefined();
    await waitFor("heartbeats", () => quiet.heartbeats() > 2);
    isFull = true;
    await waitFor("the stuck one to be sent away", () => stuck.ends[0] === "idle");
    expect(board.refusal()).toBeUndefined();
    await board.drain(0);
    expect(quiet.ends).toEqual(["draining"]);
    expect([board.refusal(), board.stats().watchers]).toEqual(["draining", 0]);

    const aging = boardOn(log, { heartbeatMs: 80, maxConnectionAgeMs: 150 });
    const old = watchBoard(aging);
    await waitFor("the old one to be sent back", () => old.ends[0] === "aged");
    const revoked = watchBoard(aging);
    revoked.joined.end("revoked");
    expect(revoked.ends).toEqual(["revoked"]);
  });

  /** The log, which can be sent away. */
  const leaving = () => {
    const state = { isAway: false, refused: 0 };
    const unlessAway = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return (...args: A) => {
        if (!state.isAway) return call(...args);
        state.refused++;
        return Promise.reject(new Error("away"));
      };
    };
    const { read, latest, tallies, tail } = log;
    const on: BoardOptions["log"] = {
      ...{ tail, read: unlessAway(read), latest: unlessAway(latest), tallies: unlessAway(tallies) },
    };
    return { state, on };
  };

  it("waits while the log is away, and serves who has waited", async () => {
    await log.append([statusOf("one")]);
    const { state, on } = leaving();
    state.isAway = true;
    const board = boardOn(on);
    const watcher = watchBoard(board);
    await waitFor("a first try", () =>
      logger.lines.some(({ message }) => message.includes("status of services")),
    );
    expect(watcher.heard).toEqual([]);
    state.isAway = false;
    expect((await watcher.snapshot()).services).toHaveLength(1);
  });

  it("calls nobody silent while the log is away, nor whom it could not hear then", async () => {
    await log.append([statusOf("quick", { interval: 0.3 }), statusOf("gone", { interval: 0.3 })]);
    const { state, on } = leaving();
    const board = boardOn(on, { heartbeatMs: 200 });
    const watcher = watchBoard(board);
    await watcher.snapshot();
    state.isAway = true;
    // Long after both were due.
    await waitFor("looks in vain", () => state.refused > 30);
    expect(watcher.changes()).toEqual([]);
    state.isAway = false;
    await log.append([statusOf("quick", { interval: 60 })]);
    const gone = await watcher.change("silence", ({ silent }) => silent);
    expect(gone).toMatchObject({ name: "gone", state: "stopped" });
    expect(watcher.changes().map(({ name, silent }) => [name, silent])).toEqual([
      ["quick", false],
      ["gone", true],
    ]);
  });

  it("knows of an outage that ends before anybody is due", async () => {
    await log.append([statusOf("one", { interval: 1 })]);
    const { state, on } = leaving();
    const watcher = watchBoard(boardOn(on, { heartbeatMs: 200 }));
    const { lastSeen } = (await watcher.snapshot()).services[0]!;
    state.isAway = true;
    await waitFor("a question", () => state.refused > 0);
    const saidMs = Date.parse(lastSeen);
    await waitFor("the third interval to be nearly over", () => Date.now() - saidMs > 2_800);
    const backMs = Date.now();
    state.isAway = false;
    await watcher.change("silence", ({ silent }) => silent);
    // Three intervals from when it could be heard again, less what asking now and then may miss.
    expect(Date.now() - backMs).toBeGreaterThan(1_500);
  });

  it("tells one who comes while the log is away of nobody's silence when it is back", async () => {
    await log.append([statusOf("one", { interval: 0.3 })]);
    const { state, on } = leaving();
    const board = boardOn(on, { heartbeatMs: 200 });
    const first = watchBoard(board);
    await first.snapshot();
    state.isAway = true;
    await waitFor("looks in vain", () => state.refused > 15);
    first.joined.leave();
    const second = watchBoard(board);
    await waitFor("more of them", () => state.refused > 20);
    state.isAway = false;
    expect((await second.snapshot()).services).toMatchObject([{ name: "one", silent: false }]);
    await second.change("silence", ({ silent }) => silent);
  });

  it("finds who is silent among others that speak all the time, on a tail that is always behind", async () => {
    await log.append([statusOf("one", { interval: 0.3 })]);
    let hasEnded = false;
    const board = boardOn(
      {
        ...log,
        // As over REST where nothing can be subscribed to, but slower.
        async *tail(company, after, signal) {
          for (let cursor = after; !signal.aborted; ) {
            await new Promise((resolve) => setTimeout(resolve, 500));
            const result = await log.read(company, cursor, 500);
            if (result.kind !== "events" || result.entries.length === 0) continue;
            cursor = result.entries.at(-1)!.cursor;
            yield result;
          }
        },
      },
      { heartbeatMs: 200 },
    );
    const watcher = watchBoard(board);
    await watcher.snapshot();
    const speaking = (async () => {
      while (!hasEnded) {
        await log.append([statusOf("other")]);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      const gone = await watcher.change("silence", ({ silent }) => silent);
      expect(gone.name).toBe("one");
    } finally {
      hasEnded = true;
      await speaking;
    }
  });
});

it("createBoard says everything anew when the log was lost", async () => {
  await using store = await sqliteStore();
  const log = await store.open();
  await log.append([statusOf("old")]);
  using board = createBoard({
    ...{ log, logger: silent, heartbeatMs: 60_000, idleTimeoutMs: 60_000, maxConnectionAgeMs: 0 },
    maxConnectionsPerCompany: 10,
  });
  const watcher = watchBoard(board);
  expect((await watcher.snapshot()).services).toHaveLength(1);
  store.wipe!();
  await log.append([statusOf("new")]);
  await waitFor("another snapshot", () => watcher.snapshots().at(-1)!.services[0]?.name === "new");
  expect(watcher.snapshots().at(-1)!.services).toHaveLength(1);
});

it("createBoard begins anew where the log is another one and its tail has not heard", async () => {
  await using store = await sqliteStore();
  const log = await store.open();
  await log.append([statusOf("old", { interval: 0.3 })]);
  let tails = 0;
  using board = createBoard({
    ...{ logger: silent, heartbeatMs: 200, idleTimeoutMs: 60_000, maxConnectionAgeMs: 0 },
    log: {
      ...log,
      async *tail(_company, _after, signal) {
        tails++;
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
    maxConnectionsPerCompany: 10,
  });
  const watcher = watchBoard(board);
  await watcher.snapshot();
  store.wipe!();
  await log.append([statusOf("new")]);
  await waitFor("another snapshot", () => watcher.snapshots().at(-1)!.services[0]?.name === "new");
  expect(tails).toBe(2);
});
