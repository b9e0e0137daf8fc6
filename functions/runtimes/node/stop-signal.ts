/** When this process is to end. */
import { once } from "node:events";

/**
 * Milliseconds in which a second signal is still the first: Ctrl-C under npm comes twice, from the terminal and from npm, which hands
 * on what it gets.
 */
const SAME_SIGNAL_MS = 500;

/** Milliseconds between two looks whether the parent is still there. */
const PARENT_MS = 500;

/** Aborts at the first SIGINT or SIGTERM; another one ends the process at once with 1. Once a process. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let firstAtMs = 0;
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstAtMs = Date.now();
      stop.abort();
    } else if (Date.now() - firstAtMs > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(() => stop.abort());
  return stop.signal;
}

/** npm signals the shell it runs us in, and that dies without handing the signal on (dash): we would stay for good. */
function whenOrphaned(end: () => void): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, PARENT_MS).unref();
}

/** Resolves when the signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
