/** Live's `follow` in this process: a member of the hub whose sink is read as an iterable. */
import { WRITE_BYTES } from "../core/limits.ts";
import type { EndReason, Hub, Sink } from "../ports/hub.ts";
import type { Live, StreamItem } from "../ports/live.ts";
import type { Sessions } from "../ports/sessions.ts";
import { decodeFrames, type FollowedFrame } from "./follow-frames.ts";
import { joinRequest } from "./join-request.ts";

/** Everything stays the caller's to close. */
export interface FollowOptions {
  readonly hub: Hub;
  readonly sessions: Sessions;
}

export function createFollow({ hub, sessions }: FollowOptions): Live["follow"] {
  return async (wanted, signal) => {
    const { company, principal, after, maxConnections } = wanted;
    const refused = hub.refusal(company, maxConnections);
    if (refused !== undefined) return refused;
    let leave = () => {};
    const { sink, items, begun, close } = itemSink(() => leave());
    const whole = { ...wanted, transport: "sse", format: "cloudevents" } as const;
    const membership = hub.join(joinRequest(whole, after, sink));
    const ended = sessions.enter({ principal, scope: company, membership });
    leave = () => {
      signal.removeEventListener("abort", close);
      ended();
      membership.leave();
    };
    signal.addEventListener("abort", close);
    if (signal.aborted) close();
    // As with every stream: what is appended from here on comes. The hub writes when it can keep that promise.
    await begun;
    return items;
  };
}

const decoder = new TextDecoder();
/** What bytes say that many followers are given: read once for all of them, for as long as somebody holds the bytes. */
const framesOf = new WeakMap<Uint8Array, readonly FollowedFrame[]>();

function decodeShared(bytes: Uint8Array): readonly FollowedFrame[] {
  let frames = framesOf.get(bytes);
  if (frames === undefined) {
    frames = decodeFrames(decoder.decode(bytes));
    framesOf.set(bytes, frames);
  }
  return frames;
}

interface ItemSink {
  readonly sink: Sink;
  readonly items: AsyncIterableIterator<StreamItem>;
  /** Resolves when the first bytes were taken, or none will come. */
  readonly begun: Promise<void>;
  /** Ends the iteration now, with nothing more. */
  readonly close: () => void;
}

/** Full from WRITE_BYTES that nobody has asked for yet. `onGone` is called once, when it is over for either side. */
function itemSink(onGone: () => void): ItemSink {
  const begun = Promise.withResolvers<void>();
  /** Batches as they were written; of the first one, what was handed out. */
  const waiting: { readonly frames: readonly FollowedFrame[]; readonly bytes: number }[] = [];
  let handedOut = 0;
  let heldBytes = 0;
  let isFull = false;
  let isOver = false;
  let end: EndReason | undefined;
  let asked: ((result: IteratorResult<StreamItem>) => void) | undefined;

  const over = () => {
    if (isOver) return;
    isOver = true;
    begun.resolve();
    onGone();
  };

  const next = (): IteratorResult<StreamItem> | undefined => {
    for (let batch = waiting[0]; batch !== undefined; batch = waiting[0]) {
      const frame = batch.frames[handedOut++];
      if (frame !== undefined) {
        if (frame.kind === "retry") continue;
        return { done: false, value: frame };
      }
      waiting.shift();
      handedOut = 0;
      heldBytes -= batch.bytes;
      if (!isFull || heldBytes >= WRITE_BYTES) continue;
      isFull = false;
      sink.onDrain();
    }
    if (!isOver) return undefined;
    if (end === undefined) return { done: true, value: undefined };
    const reason = end;
    end = undefined;
    return { done: false, value: { kind: "end", reason } };
  };

  const answer = () => {
    if (asked === undefined) return;
    const result = next();
    if (result === undefined) return;
    const tell = asked;
    asked = undefined;
    tell(result);
  };

  const sink: Sink = {
    onDrain() {},
    write(bytes) {
      if (isOver) return false;
      waiting.push({ frames: decodeShared(bytes), bytes: bytes.byteLength });
      heldBytes += bytes.byteLength;
      begun.resolve();
      answer();
      isFull = heldBytes >= WRITE_BYTES;
      return !isFull;
    },
    end(reason = "draining") {
      if (isOver) return;
      end = reason;
      // One that is full has nobody who reads it.
      if (isFull) waiting.length = 0;
      over();
      answer();
    },
  };

  const close = () => {
    waiting.length = 0;
    end = undefined;
    over();
    answer();
  };

  const items: AsyncIterableIterator<StreamItem> = {
    [Symbol.asyncIterator]: () => items,
    next: () =>
      new Promise((resolve) => {
        asked = resolve;
        answer();
      }),
    async return() {
      close();
      return { done: true, value: undefined };
    },
  };
  return { sink, items, begun: begun.promise, close };
}
