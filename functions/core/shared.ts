/** Work that several ask for, done once. */

/** Runs `body` once for all who ask while it is under way. */
export function shared<T>(body: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= body().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/** Runs `body` until it has succeeded once; from then on, and while it is under way, its result is everybody's. */
export function untilDone<T>(body: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= body().catch((error: unknown) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
