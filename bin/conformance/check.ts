/** A check: one thing a server owes its clients, where that is written, and how to see whether it holds. */
import type { Context } from "./context.ts";
import type { Profile } from "./target.ts";

export type Level = "MUST" | "SHOULD";

/**
 * What must be there for a check to say anything. `stream`: the company's stream opens. `publish`: published events arrive on
 * it. `traffic`: events arrive, published or not. `ids`: they carry ids. `types`: they keep the type they were published with.
 * `auth`: a token was given. `mint`: tokens can be made. `disabled`: streaming is switched off, which only the checks of refusals want.
 */
export type Need = "stream" | "publish" | "traffic" | "ids" | "types" | "auth" | "mint" | "disabled";

export type Outcome =
  | { readonly kind: "pass"; readonly seen: string }
  /** What was seen and what is expected, in one sentence. */
  | { readonly kind: "fail"; readonly seen: string }
  | { readonly kind: "not-run"; readonly reason: string };

export interface Check {
  /** `<area>.<name>`. */
  readonly id: string;
  readonly area: string;
  /** The rule, as one sentence. */
  readonly title: string;
  /** Where the rule is written. */
  readonly source: string;
  /** How much a breach weighs, by profile; a profile not named does not ask for it. */
  readonly levels: Readonly<Partial<Record<Profile, Level>>>;
  readonly needs: readonly Need[];
  /** `background`: mostly waits, so it runs beside the others. `alone`: after everything else, with no other stream open. */
  readonly stage?: "background" | "alone";
  /** Streams opened through the context are closed for it. An error it throws is a failure with that message. */
  run(context: Context): Promise<Outcome>;
}

/** Levels of a rule that binds every server. */
export const MUST = { sse: "MUST", millrace: "MUST" } as const;
/** Good practice elsewhere, promised by Millrace. */
export const PROMISED = { sse: "SHOULD", millrace: "MUST" } as const;
export const SHOULD = { sse: "SHOULD", millrace: "SHOULD" } as const;
export const MILLRACE = { millrace: "MUST" } as const;

export const pass = (seen: string): Outcome => ({ kind: "pass", seen });
export const fail = (seen: string): Outcome => ({ kind: "fail", seen });
export const notRun = (reason: string): Outcome => ({ kind: "not-run", reason });
/** Fails with the problem, passes where there is none. */
export const verdict = (problem: string | undefined, seen: string): Outcome =>
  problem === undefined ? pass(seen) : fail(problem);
