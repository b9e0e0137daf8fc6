/** The counters' sink over a stream of Server-Sent Events. They have no `id:`: there is nothing to resume, the next one says all. */
import { jitter } from "../core/backoff.ts";
import { encodeText } from "../core/bytes.ts";
import { RETRY_MS } from "../core/limits.ts";
import { REFUSALS, refusalFrames } from "../core/refusals.ts";
import { SSE } from "../core/sse.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { SnapshotKind, SnapshotSink } from "../ports/counters.ts";
import type { Sink } from "../ports/hub.ts";

/** The feed is unnamed, so that `onmessage` hears it: it is all its stream has. */
const EVENTS = { feed: "", dashboard: "event: dashboard\n" } as const satisfies Record<SnapshotKind, string>;

/** Encoded once for all clients: a snapshot is of one kind. */
const frames = new WeakMap<TextMessage, Uint8Array>();

function frameOf(snapshot: TextMessage, kind: SnapshotKind): Uint8Array {
  let frame = frames.get(snapshot);
  if (frame === undefined) {
    frame = encodeText(`${EVENTS[kind]}data: ${snapshot.text}\n\n`);
    frames.set(snapshot, frame);
  }
  return frame;
}

export function snapshotStreamSink(sink: Sink, kind: SnapshotKind): SnapshotSink {
  let isFull = false;
  const write = (bytes: Uint8Array) => {
    isFull = !sink.write(bytes);
    return !isFull;
  };
  const own: SnapshotSink = {
    send: (snapshot) => write(frameOf(snapshot, kind)),
    heartbeat: () => write(SSE.heartbeat),
    notify: (name, data) => write(SSE.notice(name, data)),
    onDrain() {},
    end(reason) {
      if (!isFull) {
        // Who comes back by itself is told when, so that not all do at once.
        if (reason === "aged" || reason === "draining") sink.write(SSE.retry(jitter(RETRY_MS)));
        if (reason === "disabled") sink.write(refusalFrames(SSE, REFUSALS.disabled));
      }
      sink.end(reason);
    },
  };
  sink.onDrain = () => {
    isFull = false;
    own.onDrain();
  };
  return own;
}
