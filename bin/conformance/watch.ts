/** Waiting until something that is looked at again and again is as wanted. */

export interface Watch {
  /** Something has changed: everybody who waits looks again. */
  changed(): void;
  /** As of {@link Stream}. */
  readonly until: (met: () => boolean, timeoutMs: number) => Promise<boolean>;
}

/** `isOver`: nothing will change any more. */
export function createWatch(isOver: () => boolean): Watch {
  const watchers = new Set<() => void>();
  return {
    changed() {
      for (const watch of watchers) watch();
    },
    until: (met, timeoutMs) =>
      new Promise((resolve) => {
        const done = (result: boolean) => {
          clearTimeout(timer);
          watchers.delete(watch);
          resolve(result);
        };
        const watch = () => {
          if (met()) done(true);
          else if (isOver()) done(false);
        };
        const timer = setTimeout(() => done(met()), timeoutMs);
        watchers.add(watch);
        watch();
      }),
  };
}
