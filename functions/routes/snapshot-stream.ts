/** Snapshots of the counters as Server-Sent Events. They have no `id:`: there is nothing to resume, the next one says all. */
import type { Context } from "hono";
import { jitter } from "../core/backoff.ts";
import { RETRY_MS } from "../core/limits.ts";
import type { Settings } from "../core/settings.ts";
import { encodeText, HEARTBEAT, retryFrame } from "../core/sse.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { Counters, SnapshotKind, SnapshotSink } from "../ports/counters.ts";
import type { Membership, Sink } from "../ports/hub.ts";
import { methodNotAllowed } from "./answer.ts";
import { queryOf } from "./query.ts";
import { REFUSALS, writeRefusal } from "./refusal.ts";
import { readScope } from "./scope.ts";
import { createSseAnswer, type SseAnswerDeps } from "./sse-answer.ts";

/** What a stream of snapshots needs. */
export interface SnapshotStreamDeps extends SseAnswerDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED" | "CORS_ORIGINS">;
  readonly counters: Pick<Counters, "watch" | "refusal">;
}

/** A handler of all methods: Hono answers HEAD by running GET, and here that would open a stream nobody reads. `event` undefined: unnamed. */
export function snapshotStream(
  deps: SnapshotStreamDeps,
  { kind, event }: { kind: SnapshotKind; event?: string },
): (c: Context) => Promise<Response> {
  const { settings, counters } = deps;
  const { open, refuse, admit } = createSseAnswer(deps);
  /** Encoded once for all clients. */
  const frames = new WeakMap<TextMessage, Uint8Array>();
  const frameOf = (snapshot: TextMessage): Uint8Array => {
    let frame = frames.get(snapshot);
    if (frame === undefined) {
      frame = encodeText(`${event === undefined ? "" : `event: ${event}\n`}data: ${snapshot.text}\n\n`);
      frames.set(snapshot, frame);
    }
    return frame;
  };

  return async (c) => {
    if (c.req.method !== "GET") return methodNotAllowed(c, "GET");
    const query = queryOf(c);
    const admission = await admit(c, query);
    if ("refused" in admission) return admission.refused;
    const { principal } = admission;
    const scope = readScope(principal, query);
    const reason = settings.STREAMING_ENABLED ? counters.refusal(scope) : "disabled";
    if (reason !== undefined) return refuse(c, REFUSALS[reason]);

    let isGone = false;
    let membership: Membership | undefined;
    const { sink, response } = open(c, () => {
      isGone = true;
      membership?.leave();
    });
    sink.write(retryFrame(RETRY_MS));
    const joined = counters.watch({
      scope,
      kind,
      sink: snapshotSink(sink, frameOf),
      expiresAtMs: principal.expiresAtMs,
    });
    if (typeof joined === "string") writeRefusal(sink, REFUSALS[joined]);
    else {
      membership = joined;
      // The client may have been gone before there was anything to leave.
      if (isGone) joined.leave();
    }
    return response;
  };
}

function snapshotSink(sink: Sink, frameOf: (snapshot: TextMessage) => Uint8Array): SnapshotSink {
  let isFull = false;
  const write = (bytes: Uint8Array) => {
    isFull = !sink.write(bytes);
    return !isFull;
  };
  const own: SnapshotSink = {
    send: (snapshot) => write(frameOf(snapshot)),
    heartbeat: () => write(HEARTBEAT),
    onDrain() {},
    end(reason) {
      // Who comes back by itself is told when, so that not all do at once.
      if (!isFull && (reason === "renewed" || reason === "draining"))
        sink.write(retryFrame(jitter(RETRY_MS)));
      sink.end();
    },
  };
  sink.onDrain = () => {
    isFull = false;
    own.onDrain();
  };
  return own;
}
