/** Asking until the answer is as wanted. */
import { setTimeout as sleep } from "node:timers/promises";

/** Asks until the answer satisfies, for at most `timeoutMs`; returns the last answer. */
export async function poll<T>(
  probe: () => Promise<T>,
  good: (value: T) => boolean,
  timeoutMs: number,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (good(value) || performance.now() > endMs) return value;
    await sleep(50);
  }
}
