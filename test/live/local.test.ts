/** The live side in this process, where what ends does so before it has begun. */
import { expect, it } from "vitest";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { createLocalLive } from "../../functions/live/local.ts";
import type { Counters } from "../../functions/ports/counters.ts";
import type { Hub } from "../../functions/ports/hub.ts";
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
