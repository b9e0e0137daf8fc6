/**
 * EventStream as a web stream, for every runtime. The queue counts bytes: by default it would count chunks, and a client that
 * stopped reading would never look full (Streams Standard, queuing strategies).
 */
import { WRITE_BYTES } from "../core/limits.ts";
import type { OpenEventStream } from "../ports/event-stream.ts";
import type { Sink } from "../ports/hub.ts";

/** Milliseconds after `end()` in which a client may still take what is queued; then it is cut, or one that reads nothing would stay for good. */
const END_MS = 5_000;

/** Full from WRITE_BYTES queued: one write of the hub may be waiting in here while the runtime has another. */
export const openWebStream: OpenEventStream = ({ raw }, headers, onGone) => {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  /** Over: nothing here is called any more but by the hub. */
  let state: "open" | "ending" | "over" = "open";
  let isFull = false;
  let cut: ReturnType<typeof setTimeout> | undefined;

  const finish = () => {
    state = "over";
    clearTimeout(cut);
    raw.signal.removeEventListener("abort", close);
    onGone();
  };
  const close = () => {
    controller.close();
    finish();
  };

  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      // Called whenever a chunk was taken and there is room.
      pull() {
        if (state === "ending" && controller.desiredSize === WRITE_BYTES) close();
        else if (state === "open" && isFull) {
          isFull = false;
          sink.onDrain();
        }
      },
      cancel: finish,
    },
    { highWaterMark: WRITE_BYTES, size: (chunk) => chunk.byteLength },
  );

  const sink: Sink = {
    onDrain: () => {},
    write(bytes) {
      if (state !== "open") return false;
      controller.enqueue(bytes);
      isFull = controller.desiredSize! <= 0;
      return !isFull;
    },
    end() {
      if (state !== "open") return;
      if (controller.desiredSize === WRITE_BYTES) return close();
      state = "ending";
      cut = setTimeout(() => {
        // Nothing but an error makes a runtime drop what is queued, and the connection with it.
        controller.error(new Error(`Cannot end a stream: the client took nothing for ${END_MS} ms`));
        finish();
      }, END_MS);
    },
  };
  // Not every runtime cancels the body of a request that ended before the first read.
  raw.signal.addEventListener("abort", close);
  if (raw.signal.aborted) close();
  return { sink, response: new Response(body, { status: 200, headers }) };
};
