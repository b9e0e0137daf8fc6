/** Notices that a stream which is live has stopped bringing its numbers: while the log does not answer, a server sends none. */

export interface Silence {
  /** A message came, or the stream begins anew. */
  heard(): void;
  /** Nothing is awaited: the stream is not live. */
  stop(): void;
}

/** Milliseconds between two looks. */
const LOOK_MS = 1_000;

/** `onSilent` is told once a silence, after `silentMs` of it, when something came last (milliseconds since 1970); `onHeard` its end. */
export function watchSilence(
  silentMs: number,
  onSilent: (sinceMs: number) => void,
  onHeard: () => void,
): Silence {
  let heardMs = 0;
  let lookedMs = 0;
  let isSilent = false;
  let timer: ReturnType<typeof setInterval> | undefined;

  function look(): void {
    const nowMs = Date.now();
    // The machine slept: what came meanwhile has its turn first.
    const hasSlept = nowMs - lookedMs > 5 * LOOK_MS;
    lookedMs = nowMs;
    if (isSilent || hasSlept || document.hidden || nowMs - heardMs < silentMs) return;
    isSilent = true;
    onSilent(heardMs);
  }
  function end(): void {
    if (isSilent) onHeard();
    isSilent = false;
  }

  return {
    heard() {
      heardMs = Date.now();
      timer ??= setInterval(look, LOOK_MS);
      end();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      end();
    },
  };
}
