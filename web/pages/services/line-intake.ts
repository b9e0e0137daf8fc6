/** Where lines go as they come: into the store, or aside while the reader pauses. Pure. */
import { formatCount } from "../../kit/dom.ts";
import { type Line, noteLine } from "./line.ts";
import { createLineStore, type LineStore, type LineStoreOptions } from "./line-store.ts";

export interface LineIntake {
  push(line: Line): void;
  readonly isPaused: boolean;
  /** Lines that came during the pause, and are kept. */
  readonly waiting: number;
  pause(): void;
  /** Puts into the store what came meanwhile; says how much of it was too much to keep. */
  resume(nowMs: number): void;
}

/** `limits` are those of what waits. */
export function createLineIntake(store: LineStore, limits: LineStoreOptions): LineIntake {
  const aside = createLineStore(limits);
  let isPaused = false;
  /** Number of the first line of this pause. */
  let from = 0;
  return {
    push(line) {
      (isPaused ? aside : store).push(line);
    },
    get isPaused() {
      return isPaused;
    },
    get waiting() {
      return aside.next - aside.first;
    },
    pause() {
      isPaused = true;
      from = aside.next;
    },
    resume(nowMs) {
      isPaused = false;
      const lost = aside.first - from;
      const lines = lost === 1 ? "1 line was" : `${formatCount(lost)} lines were`;
      if (lost > 0) store.push(noteLine(`${lines} not kept during the pause`, nowMs));
      for (const line of aside.takeAll()) store.push(line);
    },
  };
}
