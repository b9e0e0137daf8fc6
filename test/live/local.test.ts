/** The live side in this process, where what ends does so before it has begun. */
import { expect, it } from "vitest";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { createLocalLive } from "../../functions/live/local.ts";
import type { Counters } from "../../functions/ports/counters.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import type { Hub } from "../../functions/ports/hub.ts";
import type { ServiceBoard } from "../../functions/ports/service-board.ts";
import { deflate } from "../../functions/runtimes/zlib.ts";

it.each([undefined, deflate])(
  "answers at once when the stream ends before its first byte, with deflate %s",
  async (given) => {
    const hub = {
      refusal: () => undefined,
      join({ sink }) {
        sink.end("revoked");
        return { leave() {}, notify: () => false, end() {} };
      },
    } as Partial<Hub> as Hub;
    const live = createLocalLive({
      hub,
      counters: {} as Counters,
      board: {} as ServiceBoard,
      log: {} as EventLog,
      sessions: { enter: () => () => {} },
      openEventStream: openWebStream,
      openWebSocket: () => {
        throw new Error("not asked for");
      },
      deflate: given,
    });
    const raw = new Request("http://localhost/", { headers: { "accept-encoding": "gzip" } });
    const answer = await live.open(
      { raw, env: undefined },
      {
        ...{ kind: "updates", transport: "sse", company: parseCompanyId("acme"), after: undefined },
        ...{ types: undefined, format: "data", overflow: "catch-up", maxConnections: undefined },
        principal: {
          ...{ subject: undefined, companies: "all", roles: [], issuedAtMs: 0, expiresAtMs: undefined },
        },
      },
      {},
    );
    if (typeof answer === "string") throw new Error(answer);
    const body = new Uint8Array(await answer.arrayBuffer());
    // Nothing, or the header and the end of it.
    expect(body.byteLength).toBe(given === undefined ? 0 : 20);
  },
);

it("refuses over the limit also those who came while it was looked for where they begin", async () => {
  let members = 0;
  const hub = {
    refusal: () => (members >= 2 ? "busy" : undefined),
    join({ sink }) {
      members++;
      sink.write(new Uint8Array(1));
      return { leave() {}, notify: () => false, end() {} };
    },
  } as Partial<Hub> as Hub;
  const looking = Promise.withResolvers<void>();
  const live = createLocalLive({
    hub,
    counters: {} as Counters,
    board: {} as ServiceBoard,
    log: {
      tip: async () => GENESIS,
      latest: () => looking.promise.then(() => []),
      read: () => Promise.reject(new Error("not asked for")),
    },
    sessions: { enter: () => () => {} },
    openEventStream: openWebStream,
    openWebSocket: () => {
      throw new Error("not asked for");
    },
  });
  const answers = Array.from({ length: 5 }, () =>
    live.open(
      { raw: new Request("http://localhost/"), env: undefined },
      {
        ...{ kind: "lines", transport: "sse", after: undefined, service: undefined, level: "debug" },
        maxConnections: undefined,
        principal: {
          ...{ subject: undefined, companies: "all", roles: [], issuedAtMs: 0, expiresAtMs: undefined },
        },
      },
      {},
    ),
  );
  looking.resolve();
  const opened = await Promise.all(answers);
  expect(opened.filter((answer) => answer === "busy")).toHaveLength(3);
  for (const answer of opened) if (typeof answer !== "string") await answer.body!.cancel();
});
