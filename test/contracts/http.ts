/** The HTTP contract: the checks of the conformance kit (bin/conformance), one test each, on a server that was started. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Check } from "../../bin/conformance/check.ts";
import { CHECKS } from "../../bin/conformance/checks/index.ts";
import { createContext } from "../../bin/conformance/context.ts";
import { ask } from "../../bin/conformance/http.ts";
import { prepare, type Result, type Session } from "../../bin/conformance/run.ts";
import { routeUrl, type Target } from "../../bin/conformance/target.ts";

/** A running server, and how to reach it. */
export interface HttpServerUnderTest extends AsyncDisposable {
  /** With a publisher; with tokens where the server asks for them; its heartbeat within its patience. */
  readonly target: Target;
  /** Stops it as its operator does, with a DRAIN_MS of {@link DRAIN_MS}; resolves with its exit code. */
  readonly stop?: () => Promise<number | null>;
}

export interface HttpContract {
  readonly name: string;
  /**
   * `open`: no token needed. `auth`: tokens in the target; both run everything else too. `disabled`: streaming is switched off,
   * and only refusals can be seen.
   */
  readonly mode: "open" | "auth" | "disabled";
  readonly start: () => Promise<HttpServerUnderTest>;
  /** Streams come in gzip to who asks. Default true. */
  readonly compresses?: boolean;
  /** It can be stopped, and drains. Default true; at Cloudflare a deployment cuts what is open. */
  readonly drains?: boolean;
  /** The `Upgrade` header of a 426 never reaches the client, which RFC 9110 section 15.5.22 asks for. Default false. */
  readonly dropsUpgrade?: boolean;
  /** Areas, or ids, of checks the server has nothing for. Default none. */
  readonly lacks?: readonly string[];
  /** Why the checks of an area cannot run here. */
  readonly skips?: Readonly<Record<string, string | undefined>>;
  readonly skip?: string | undefined;
}

/** Milliseconds: long enough that what is said in between can be seen. */
export const DRAIN_MS = 1_000;

/** The kit's publishers of JSON cannot send plain text: this one is for other servers. */
const FOR_OTHERS = new Set(["injection.text"]);

function concerns(check: Check, mode: HttpContract["mode"]): boolean {
  if (check.levels.millrace === undefined || FOR_OTHERS.has(check.id)) return false;
  if (mode === "disabled") return check.needs.includes("disabled");
  const asksForTokens = check.needs.includes("auth") || check.needs.includes("mint");
  return !check.needs.includes("disabled") && (mode === "auth" || !asksForTokens);
}

/** Those that wait beside the others come behind them, those that want to be alone last. */
const STAGES: readonly Check["stage"][] = [undefined, "background", "alone"];

export function describeHttpContract(contract: HttpContract): void {
  const { name, mode, start, compresses = true, drains = true, dropsUpgrade = false, skip } = contract;
  const { lacks = [], skips = {} } = contract;
  const checks = CHECKS.filter(
    (check) => concerns(check, mode) && !lacks.includes(check.area) && !lacks.includes(check.id),
  );

  describe(`HTTP contract on ${name}, ${mode}`, () => {
    let server: HttpServerUnderTest;
    let session: Session;
    const othersDone = Promise.withResolvers<void>();
    const background = new Map<Check, Promise<Result>>();

    beforeAll(async () => {
      if (skip !== undefined) return;
      server = await start();
      session = await prepare({ ...server.target, profile: "millrace" });
      for (const check of checks.filter(({ stage }) => stage === "background")) {
        background.set(check, session.perform(check, othersDone.promise));
      }
    });
    afterAll(async () => {
      await server?.target.publisher?.close();
      await server?.[Symbol.asyncDispose]();
    });

    for (const check of STAGES.flatMap((stage) => checks.filter((check) => check.stage === stage))) {
      it(`${check.id}: ${check.title}`, async (context) => {
        const reason = skip ?? skips[check.area];
        if (reason !== undefined) context.skip(reason);
        if (check.stage !== undefined) othersDone.resolve();
        const { outcome } = await (background.get(check) ?? session.perform(check));
        // Here everything a check needs is given: one that cannot run is as bad as one that fails.
        if (outcome.kind === "not-run") throw new Error(`not run: ${outcome.reason}`);
        if (outcome.kind === "fail") throw new Error(`${outcome.seen} (${check.source})`);
      });
    }

    if (mode === "disabled") return;

    it(`compression: a stream for who asks is ${compresses ? "in gzip" : "as for all others"}`, async (context) => {
      if (skip !== undefined) context.skip(skip);
      const kit = createContext(session.target, session.learned);
      try {
        const { headers } = await kit.open({ headers: { "accept-encoding": "gzip" } });
        expect(headers["content-encoding"]).toBe(compresses ? "gzip" : undefined);
      } finally {
        kit.close();
      }
    });

    it("426: what is no WebSocket request is told the protocol, where the runtime lets that header through", async (context) => {
      if (skip !== undefined) context.skip(skip);
      const { target } = server;
      const { status, headers } = await ask(routeUrl(target, "/ws/updates"), { timeoutMs: 5_000 });
      expect(status).toBe(426);
      expect(headers.upgrade).toBe(dropsUpgrade ? undefined : "websocket");
    });

    if (!drains) return;
    it("drain: streams are told to come back and closed, then the process ends with 0", async (context) => {
      if (skip !== undefined) context.skip(skip);
      const { target } = server;
      const kit = createContext(target, session.learned);
      try {
        const streams = await Promise.all([kit.open(), kit.open(), kit.open()]);
        const socket = await kit.openSocket();
        for (const stream of streams) await stream.until(() => stream.parsed.blocks.length > 0, 5_000);
        await socket.until(() => socket.messages.length > 0, 5_000);
        const before = streams.map(({ parsed }) => parsed.blocks.length);
        const stopped = server.stop!();
        const all = [...streams, socket];
        const someGone = () => all.some(({ ended }) => ended);
        const statuses: number[] = [];
        while (!someGone()) {
          const { status } = await fetch(routeUrl(target, "/ready")).catch(() => ({ status: 0 }));
          statuses.push(status);
        }
        // The first may be gone before anybody could ask; a process that has gone answers nothing.
        expect(statuses.filter((status) => ![200, 503, 0].includes(status))).toEqual([]);
        for (const stream of all) expect(await stream.until(() => stream.ended, DRAIN_MS + 5_000)).toBe(true);
        for (const [index, { parsed }] of streams.entries()) {
          const said = parsed.blocks.slice(before[index]!).flatMap(({ fields }) => fields);
          expect(said.filter(([field]) => field === "retry")).toHaveLength(1);
        }
        expect(socket.messages.at(-1)).toEqual({ retry: expect.any(Number) });
        expect(socket.closeCode).toBe(1001);
        expect(await stopped).toBe(0);
      } finally {
        kit.close();
      }
    });
  });
}
