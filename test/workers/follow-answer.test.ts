/** What a Durable Object says of a stream that is followed, and what the Worker reads of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { encodeText } from "../../functions/core/bytes.ts";
import { SSE } from "../../functions/core/sse.ts";
import type { EndReason } from "../../functions/ports/hub.ts";
import type { StreamItem } from "../../functions/ports/live.ts";
import { followAnswer, tellEnd } from "../../workers/follow-answer.ts";
import { encodeHubRequest, isFollowed } from "../../workers/hub-request.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Stage, startStage, TEST_ENTRY, tokenOf } from "./lib/stage.ts";

/** A stream as a Durable Object opens it, its opening written. */
function opened() {
  let isGone = false;
  const request = { raw: new Request("https://company-hub/"), env: undefined };
  const { sink, response } = openWebStream(request, {}, () => {
    isGone = true;
  });
  tellEnd(sink);
  sink.write(SSE.retry(3_000));
  const abort = new AbortController();
  return { sink, abort, items: followAnswer(response, abort.signal), isGone: () => isGone };
}

async function readAll(items: AsyncIterable<StreamItem>): Promise<StreamItem[]> {
  const read: StreamItem[] = [];
  for await (const item of items) read.push(item);
  return read;
}

describe("followAnswer", () => {
  it.each<EndReason>(["expired", "revoked", "disabled", "aged", "idle", "draining"])(
    "ends with the reason the Durable Object has: %s",
    async (reason) => {
      const { sink, items, isGone } = opened();
      sink.write(SSE.heartbeat);
      sink.write(SSE.retry(2_500));
      sink.end(reason);
      expect(await readAll(items)).toEqual([{ kind: "heartbeat" }, { kind: "end", reason }]);
      expect(isGone()).toBe(true);
    },
  );

  it("says it also where the stream is full", async () => {
    const { sink, items } = opened();
    const data = { of: "x".repeat(200_000) };
    while (sink.write(SSE.notice("large", data)));
    sink.end("idle");
    const read = await readAll(items);
    expect(read.at(-1)).toEqual({ kind: "end", reason: "idle" });
    expect(read.slice(0, -1)).toEqual(read.slice(0, -1).map(() => ({ kind: "notice", name: "large", data })));
  });

  it("throws unavailable where it ends without a word, or is cut", async () => {
    for (const end of [(to: Stream) => to.close(), (to: Stream) => to.error(new Error("evicted"))]) {
      const body = new ReadableStream<Uint8Array>({
        start(stream) {
          stream.enqueue(encodeText("retry: 3000\n\n"));
          setTimeout(end, 0, stream);
        },
      });
      const items = followAnswer(new Response(body), new AbortController().signal);
      await expect(readAll(items)).rejects.toMatchObject({ code: "unavailable" });
    }
  });

  it("leaves nothing open when its reader goes: before the first item, between two, while it waits, by the signal", async () => {
    const leaving: ((of: ReturnType<typeof opened>) => Promise<unknown>)[] = [
      ({ items }) => items[Symbol.asyncIterator]().return!(),
      async ({ sink, items }) => {
        sink.write(SSE.heartbeat);
        for await (const _ of items) break;
      },
      async ({ items }) => {
        const iterator = items[Symbol.asyncIterator]();
        const waiting = iterator.next();
        await iterator.return!();
        expect(await waiting).toEqual({ done: true, value: undefined });
      },
      async ({ items, abort }) => {
        const reading = readAll(items);
        abort.abort();
        expect(await reading).toEqual([]);
      },
    ];
    for (const leave of leaving) {
      const stream = opened();
      await leave(stream);
      expect(stream.isGone()).toBe(true);
    }
  });

  it("is asked for by the Worker alone", () => {
    const wanted = {} as never;
    const client = { headers: new Headers({ "millrace-followed": "1" }) };
    const asked = (followed?: boolean) =>
      encodeHubRequest(
        { kind: "open", wanted, headers: {}, ...(followed === undefined ? {} : { isFollowed: followed }) },
        client,
      );
    expect([asked(), asked(false), asked(true)].map(isFollowed)).toEqual([false, false, true]);
  });
});
type Stream = ReadableStreamDefaultController<Uint8Array>;

describe.skipIf(missing("redis-server") !== undefined)("a subscription at the edge", () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({ entry: TEST_ENTRY });
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());

  it("ends with reauthenticate when its token has expired by the clock of who holds the stream", async () => {
    const token = await tokenOf({ companyId: "acme" }, "3s");
    const query = encodeURIComponent("subscription { events { cursor } }");
    const answer = await fetch(`${stage.url}/api/graphql/stream?query=${query}`, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
    });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('"code":"reauthenticate"');
    const channels = async () => (await stage.redis.command(["PUBSUB", "CHANNELS"])) as readonly string[];
    await waitFor("nothing stays open", async () => (await channels()).length === 0);
  }, 60_000);
});
