/** An answer in time, or none. */
import { MillraceError } from "../core/errors.ts";

/**
 * The promise's outcome when it comes within `ms`. What it brings later is dropped.
 * @throws MillraceError `unavailable` after `ms`; `what` completes "Cannot …".
 */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(new MillraceError("unavailable", `Cannot ${what}: no answer, expected one within ${ms} ms`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
