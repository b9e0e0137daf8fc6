/** Between a producer that sends and a broker that answers each message: so many may be on their way at once. */

/** Messages sent and not answered, at most: bounds memory, and hides the way there and back. */
const MAX_IN_FLIGHT = 256;

export interface InFlight {
  /** Resolves when there is room for the next. @throws what an earlier one, or this one, was rejected with. */
  add(answer: Promise<unknown>): Promise<void>;
  /** Resolves when all are answered. Throws as `add` does. */
  settle(): Promise<void>;
}

export function createInFlight(): InFlight {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const check = () => {
    if (failure) throw failure.error;
  };
  return {
    async add(answer) {
      const settled = answer
        .then(
          () => {},
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => pending.delete(settled));
      pending.add(settled);
      if (pending.size >= MAX_IN_FLIGHT) await Promise.race(pending);
      check();
    },
    async settle() {
      await Promise.all(pending);
      check();
    },
  };
}
