/** Faults a test asks for, each for some calls of one verb. */
import type { Verb } from "./constants.ts";

export interface Fault {
  readonly verb: Verb;
  /**
   * - `fail`: nothing is done, the reason is answered. (2003 on MQCMIT also backs out, as that reason says.)
   * - `warn`: done, and answered as a warning of that reason.
   * - `break-before`: the connection is cut, nothing is done.
   * - `break-after`: done, then the connection is cut instead of an answer. On MQCMIT: the commit in doubt.
   * - `delay`: done after so many milliseconds.
   */
  readonly action: "fail" | "warn" | "break-before" | "break-after" | "delay";
  /** Reason code of `fail` and `warn`. */
  readonly reason?: number;
  /** Milliseconds of `delay`. */
  readonly ms?: number;
  /** Calls it applies to (default 1; Infinity: until cleared). */
  readonly count?: number;
  /** Calls of the verb let through first (default 0). */
  readonly after?: number;
}

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The fault of this call. */
  take(verb: Verb): Fault | undefined;
}

export function createFaults(): Faults {
  let faults: { fault: Fault; after: number; left: number }[] = [];
  return {
    add: (fault) => faults.push({ fault, after: fault.after ?? 0, left: fault.count ?? 1 }),
    clear: () => {
      faults = [];
    },
    take(verb) {
      const next = faults.find(({ fault }) => fault.verb === verb);
      if (!next) return undefined;
      if (next.after > 0) {
        next.after--;
        return undefined;
      }
      next.left--;
      if (next.left <= 0) faults = faults.filter((other) => other !== next);
      return next.fault;
    },
  };
}
