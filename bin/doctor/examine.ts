/** Runs a probe within its time and says what came of it. */
import { describeError, MillraceError } from "../../functions/core/errors.ts";

/** Milliseconds one probe may take, unless it says otherwise. */
export const PROBE_MS = 5_000;

/** What was found: all is well; worth knowing, or not to be told from here; wrong, with what to do. */
export type Outcome = string | { readonly note: string } | { readonly fault: string; readonly next: string };

export interface Probe {
  readonly what: string;
  /** What to do when it does not answer, or fails in a way that says nothing of it. */
  readonly next: string;
  /** Milliseconds; default {@link PROBE_MS}. */
  readonly limitMs?: number;
  /** Rejects with what is wrong. One finding or more, the most telling first. */
  run(
    signal: AbortSignal,
  ): Promise<Outcome | readonly [Outcome, ...Outcome[]]> | Outcome | readonly [Outcome, ...Outcome[]];
}

export interface Finding {
  readonly level: "ok" | "note" | "FAIL";
  readonly what: string;
  readonly text: string;
}

/** The first finding. Never rejects. */
export async function examine(probe: Probe): Promise<Finding> {
  const [first] = await examineAll(probe);
  return first;
}

/** Never rejects. */
export async function examineAll({
  what,
  next,
  limitMs = PROBE_MS,
  run,
}: Probe): Promise<[Finding, ...Finding[]]> {
  const timeout = Promise.withResolvers<never>();
  const signal = AbortSignal.timeout(limitMs);
  const onLate = () => timeout.reject(new Error(`no answer in ${limitMs / 1000} s`));
  signal.addEventListener("abort", onLate);
  // The timer of AbortSignal.timeout does not keep the process alive; what is probed may not either.
  const alive = setTimeout(() => {}, limitMs + 100);
  try {
    const outcome = await Promise.race([run(signal), timeout.promise]);
    const [first, ...more] = isSeveral(outcome) ? outcome : [outcome];
    return [findingOf(what, first!), ...more.map((one) => findingOf(what, one))];
  } catch (error) {
    const isSaid = error instanceof MillraceError && !error.retryable;
    const text = oneLine(describeError(rootOf(error)));
    return [{ level: "FAIL", what, text: isSaid ? text : `${text}. Next: ${next}` }];
  } finally {
    clearTimeout(alive);
    signal.removeEventListener("abort", onLate);
  }
}

const isSeveral = (outcome: Outcome | readonly Outcome[]): outcome is readonly Outcome[] =>
  Array.isArray(outcome);

export function findingOf(what: string, outcome: Outcome): Finding {
  if (typeof outcome === "string") return { level: "ok", what, text: outcome };
  if ("note" in outcome) return { level: "note", what, text: oneLine(outcome.note) };
  return { level: "FAIL", what, text: `${oneLine(outcome.fault)}. Next: ${outcome.next}` };
}

/** What lies under an error, of several the first: fetch and connect wrap what the system said. */
export function rootOf(error: unknown): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  if (error instanceof AggregateError && error.errors.length > 0) return rootOf(error.errors[0]);
  return error.cause === undefined ? error : rootOf(error.cause);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
