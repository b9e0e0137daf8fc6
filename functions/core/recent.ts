/** What was set within the last so many milliseconds, and nothing older: what a process need not say again. */
export interface Recent<Value> {
  /** Undefined for what was not set, or too long ago. */
  get(key: string): Value | undefined;
  /** @param at From {@link Recent.now}: it is true since then. */
  set(key: string, value: Value, at: Instant): void;
  now(): Instant;
}

/** By two clocks: one that nobody sets, which may stand still while a machine is suspended, and the one on the wall. */
export interface Instant {
  readonly steadyMs: number;
  readonly wallMs: number;
}

export function createRecent<Value>(lastsMs: number): Recent<Value> {
  /** In the order they were set. */
  const entries = new Map<string, { readonly value: Value; readonly at: Instant }>();
  const now = (): Instant => ({ steadyMs: performance.now(), wallMs: Date.now() });
  /** If either says so. */
  const isOld = (at: Instant, { steadyMs, wallMs }: Instant) =>
    at.steadyMs < steadyMs - lastsMs || at.wallMs < wallMs - lastsMs;
  return {
    now,
    get(key) {
      const entry = entries.get(key);
      return entry === undefined || isOld(entry.at, now()) ? undefined : entry.value;
    },
    set(key, value, at) {
      entries.delete(key);
      entries.set(key, { value, at });
      for (const [old, entry] of entries) {
        if (!isOld(entry.at, at)) break;
        entries.delete(old);
      }
    },
  };
}
