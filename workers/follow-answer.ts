/**
 * The answer of a Durable Object read as an iterable: Live's `follow` in a Worker. Why a stream ends only its hub knows, by its own clock and the
 * store's word; so it says so in a last frame of an answer that is asked for to be followed. No client gets to see that frame.
 */
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { SSE } from "../functions/core/sse.ts";
import { createFrameReader } from "../functions/live/follow-frames.ts";
import type { EndReason, Sink } from "../functions/ports/hub.ts";
import type { StreamItem } from "../functions/ports/live.ts";

/** No notice of a stream has such a name. */
const END = "millrace:end";

/** In the Durable Object: lets the stream say why it ends. */
export function tellEnd(sink: Sink): void {
  const { end } = sink;
  sink.end = (reason = "draining") => {
    // Also where it is full: its reader may be behind by no more than that.
    sink.write(SSE.notice(END, { reason }));
    end.call(sink, reason);
  };
}

/**
 * In the Worker. Ends with the signal, however long nothing is said, and with its reader: then the Durable Object hears of it. Throws
 * `unavailable` where the answer ends without saying why: it was cut.
 */
export function followAnswer(answer: Response, signal: AbortSignal): AsyncIterable<StreamItem> {
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let isOver = false;
  const leave = () => {
    isOver = true;
    signal.removeEventListener("abort", leave);
    reader.cancel().catch(() => {});
  };
  signal.addEventListener("abort", leave);
  if (signal.aborted) leave();

  const read = async function* (): AsyncGenerator<StreamItem, void> {
    const framesOf = createFrameReader();
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        if (isOver) return { done: true as const, value: undefined };
        throw cut(describeError(cause), cause);
      });
      if (isOver) return;
      if (done) throw cut("the answer ended without saying why");
      for (const frame of framesOf(value)) {
        // How long a client would wait is nothing to whoever follows.
        if (frame.kind === "retry") continue;
        if (frame.kind === "notice" && frame.name === END) {
          return yield { kind: "end", reason: (frame.data as { reason: EndReason }).reason };
        }
        yield frame;
      }
    }
  };
  const items = read();
  const iterator: AsyncIterableIterator<StreamItem> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      const result = await items.next().catch((error: unknown) => {
        leave();
        throw error;
      });
      if (result.done) leave();
      return result;
    },
    // A generator that was not begun runs no `finally`, and one that waits for bytes would wait on.
    async return() {
      leave();
      await items.return();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}

function cut(why: string, cause?: unknown): MillraceError {
  return new MillraceError("unavailable", `Cannot follow a company's events: ${why}`, { cause });
}
