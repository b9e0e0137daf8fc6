/** The companies whose logs are followed: one counter each, however many views it is part of. */
import type { CompanyId } from "../core/ids.ts";
import { type CompanyCounter, type CompanyCounterOptions, createCompanyCounter } from "./company.ts";

export interface Companies {
  readonly size: number;
  /** Holds it until `release`. */
  acquire(company: CompanyId): CompanyCounter;
  /** Once for each `acquire`; with the last one the tail ends. */
  release(counter: CompanyCounter): void;
  /** Every count is to be read anew. */
  expire(): void;
}

export function createCompanies(options: Omit<CompanyCounterOptions, "company">): Companies {
  const held = new Map<CompanyId, { readonly counter: CompanyCounter; holders: number }>();
  return {
    get size() {
      return held.size;
    },
    acquire(company) {
      let known = held.get(company);
      if (known === undefined) {
        known = { counter: createCompanyCounter({ ...options, company }), holders: 0 };
        held.set(company, known);
      }
      known.holders++;
      return known.counter;
    },
    release({ company }) {
      const known = held.get(company)!;
      if (--known.holders > 0) return;
      held.delete(company);
      known.counter.stop();
    },
    expire() {
      for (const { counter } of held.values()) counter.expire();
    },
  };
}
