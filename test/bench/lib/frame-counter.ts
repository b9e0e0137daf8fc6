/**
 * Counts the events in one connection's bytes at a few nanoseconds each, so that the client is not what is measured: frames of
 * one run have the same length almost always, so it looks where the next frame should end and searches only when it does not.
 */
import { isPayload } from "./payload.ts";

export interface FrameCounter {
  events: number;
  /** Length of the last event's frame: where the next one should end. */
  stride: number;
  /** Bytes between the end of its payload and the end of the frame: 2, or more when the server writes `id:` after `data:`. */
  trailer: number;
  /** The beginning of a frame whose end has not come yet. */
  carry: Buffer;
  carried: number;
}

const EMPTY = Buffer.alloc(0);
/** An `id:` line that follows the data is at most this long. */
const MAX_TRAILER_BYTES = 100;

export function newFrameCounter(): FrameCounter {
  return { events: 0, stride: 0, trailer: 2, carry: EMPTY, carried: 0 };
}

/** Sees every event, with the bytes that hold it and where its payload ends. */
export type OnEvent = (bytes: Buffer, payloadEnd: number) => void;

/** Takes the next `length` bytes of the connection. The buffer may be reused afterwards; what lies past `length` is ignored. */
export function countFrames(counter: FrameCounter, bytes: Buffer, length: number, onEvent?: OnEvent): void {
  let start = 0;
  if (counter.carried > 0) {
    start = endOfCarriedFrame(counter, bytes, length);
    keep(counter, bytes, 0, start < 0 ? length : start);
    if (start < 0) return;
    if (holdsEvent(counter, counter.carry, 0, counter.carried)) {
      counter.events++;
      onEvent?.(counter.carry, counter.carried - counter.trailer);
    }
    counter.carried = 0;
  }
  for (;;) {
    let end = start + counter.stride;
    const hit =
      counter.stride > 0 &&
      end <= length &&
      bytes[end - 1] === 0x0a &&
      bytes[end - 2] === 0x0a &&
      isPayload(bytes, end - counter.trailer);
    if (!hit) {
      end = bytes.indexOf("\n\n", start, "latin1") + 2;
      if (end < 2 || end > length) break;
      if (!holdsEvent(counter, bytes, start, end)) {
        start = end;
        continue;
      }
      counter.stride = end - start;
    }
    counter.events++;
    onEvent?.(bytes, end - counter.trailer);
    start = end;
  }
  if (start < length) keep(counter, bytes, start, length);
}

/** Whether the frame carries a payload (and is no comment, `retry:` or bare `id:`); then `trailer` says where it ends. */
function holdsEvent(counter: FrameCounter, bytes: Buffer, start: number, end: number): boolean {
  if (isPayload(bytes, end - counter.trailer)) return true;
  for (let trailer = 2; trailer < MAX_TRAILER_BYTES && end - trailer > start; trailer++) {
    if (!isPayload(bytes, end - trailer)) continue;
    counter.trailer = trailer;
    return true;
  }
  return false;
}

/** Where in `bytes` the carried frame ends, or -1: the blank line may begin in the carry. */
function endOfCarriedFrame(counter: FrameCounter, bytes: Buffer, length: number): number {
  if (counter.carry[counter.carried - 1] === 0x0a && bytes[0] === 0x0a) return 1;
  const end = bytes.indexOf("\n\n", 0, "latin1") + 2;
  return end < 2 || end > length ? -1 : end;
}

function keep(counter: FrameCounter, bytes: Buffer, start: number, end: number): void {
  const needed = counter.carried + end - start;
  if (needed > counter.carry.length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(512, needed * 2));
    counter.carry.copy(larger, 0, 0, counter.carried);
    counter.carry = larger;
  }
  bytes.copy(counter.carry, counter.carried, start, end);
  counter.carried = needed;
}
