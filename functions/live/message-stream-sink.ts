/** Messages over a stream of Server-Sent Events. They have no `id:`: there is nothing to resume, the next one says all. */
import { jitter } from "../core/backoff.ts";
import { encodeText } from "../core/bytes.ts";
import { RETRY_MS } from "../core/limits.ts";
import { REFUSALS, refusalFrames } from "../core/refusals.ts";
import { SSE } from "../core/sse.ts";
import type { Sink } from "../ports/hub.ts";
import type { MessageSink } from "../ports/message-sink.ts";

/** Encoded once for all clients: what is written of a message follows from it alone. */
const frames = new WeakMap<object, Uint8Array>();

/** `textOf`: the frames of a message. */
export function messageStreamSink<M extends object>(
  sink: Sink,
  textOf: (message: M) => string,
): MessageSink<M> {
  const frameOf = (message: M) => {
    let frame = frames.get(message);
    if (frame === undefined) {
      frame = encodeText(textOf(message));
      frames.set(message, frame);
    }
    return frame;
  };
  let isFull = false;
  const write = (bytes: Uint8Array) => {
    isFull = !sink.write(bytes);
    return !isFull;
  };
  const own: MessageSink<M> = {
    send: (message) => write(frameOf(message)),
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
