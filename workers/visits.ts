/** Who needs something that is only there while somebody does. */

export interface Visit<T> {
  readonly host: T;
  /** Any number of times. */
  leave(): void;
}

export interface Visits<T> {
  /** Wakes what is visited when nobody is there. */
  enter(): Visit<T>;
  /** How many are there. */
  count(): number;
}

/** `sleep` is called when the last one has left; who enters after that wakes another one. */
export function createVisits<T>(wake: () => T, sleep: (host: T) => void): Visits<T> {
  let present: { readonly host: T } | undefined;
  let count = 0;
  return {
    enter() {
      present ??= { host: wake() };
      const { host } = present;
      count++;
      let isIn = true;
      return {
        host,
        leave() {
          if (!isIn) return;
          isIn = false;
          if (--count > 0) return;
          present = undefined;
          sleep(host);
        },
      };
    },
    count: () => count,
  };
}
