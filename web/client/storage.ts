/** Storage of the browser that may be full, switched off or not there: then nothing is remembered, and nothing breaks. */

export interface SafeStorage {
  get(key: string): string | undefined;
  /** `undefined` forgets it. */
  set(key: string, value: string | undefined): void;
}

/** `open` may throw: in some browsers the mere look at `sessionStorage` does. */
export function safeStorage(open: () => Pick<Storage, "getItem" | "setItem" | "removeItem">): SafeStorage {
  return {
    get(key) {
      try {
        return open().getItem(key) ?? undefined;
      } catch {
        return undefined;
      }
    },
    set(key, value) {
      try {
        if (value === undefined) open().removeItem(key);
        else open().setItem(key, value);
      } catch {}
    },
  };
}
