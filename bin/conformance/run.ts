/** Runs checks against a target, each with a deadline, and says what came of them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Check, Level, Need, Outcome } from "./check.ts";
import { CHECKS } from "./checks/index.ts";
import { healthProblem } from "./checks/service.ts";
import { type Context, createContext, type Learned, PROBE_TYPE } from "./context.ts";
import { ask } from "./http.ts";
import { routeUrl, type Target } from "./target.ts";

export interface Result {
  readonly check: Check;
  readonly level: Level;
  readonly outcome: Outcome;
  readonly ms: number;
}

/** A target that has been looked at: which checks concern it, and how to run one. */
export interface Session {
  readonly target: Target;
  readonly learned: Learned;
  readonly checks: readonly Check[];
  /** Never rejects: what a check throws is its failure. */
  perform(check: Check, othersDone?: Promise<void>): Promise<Result>;
}

/** Milliseconds one check may take beyond the patience for one event. */
const CHECK_SLACK_MS = 15_000;

/**
 * Looks at the target once: which profile, whether streams open, whether published events arrive and what they keep.
 * @throws Error when nothing answers at the URL.
 */
export async function prepare(target: Target): Promise<Session> {
  const health = await ask(routeUrl(target, "/stream/health"), {
    headers: { accept: "application/json" },
    timeoutMs: Math.min(5_000, target.patienceMs),
  }).catch((error: Error) => error);
  const said = health instanceof Error ? undefined : health.json;
  const isMillrace = healthProblem(said) === undefined;
  const profile = target.profile ?? (isMillrace ? "millrace" : "sse");
  const disabled = isMillrace && (said as { status: string }).status === "disabled";
  const unknown: Learned = {
    profile,
    disabled,
    streamProblem: undefined,
    publishProblem: "no event has been published yet",
    hasTraffic: false,
    hasIds: false,
    keepsTypes: false,
  };
  const context = createContext(target, unknown);
  const learned = await learn(context, unknown).finally(() => context.close());
  if (health instanceof Error && learned.streamProblem) throw health;
  const checks = CHECKS.filter((check) => check.levels[profile] !== undefined);
  return {
    target,
    learned,
    checks,
    perform: (check, othersDone) => perform(target, learned, check, othersDone),
  };
}

async function learn(context: Context, learned: Learned): Promise<Learned> {
  let stream: Awaited<ReturnType<Context["open"]>>;
  try {
    stream = await context.open();
  } catch (error) {
    return { ...learned, streamProblem: error instanceof Error ? error.message : String(error) };
  }
  const publishProblem = await probe(context, stream);
  if (publishProblem) await stream.until(() => stream.parsed.events.length > 0, 3_000);
  const { events, blocks } = stream.parsed;
  return {
    ...learned,
    publishProblem,
    hasTraffic: events.length > 0,
    hasIds: blocks.some(
      ({ event, fields }) => event && fields.some(([name, id]) => name === "id" && id !== ""),
    ),
    keepsTypes: events.some(({ type }) => type === PROBE_TYPE),
  };
}

/** Publishes one event; undefined when it came, else what happened instead. */
async function probe(
  context: Context,
  stream: Awaited<ReturnType<Context["open"]>>,
): Promise<string | undefined> {
  if (!context.target.publisher) return "needs a publisher (--publish)";
  const events = context.make(1);
  try {
    await context.publish(events);
    if (await context.arrived(stream, events)) return undefined;
    await context.publish(context.make(60, { data: { pad: "x".repeat(4_000) } }));
    const late = await context.arrived(stream, events, 1_000);
    const after = late
      ? ": it came only after 240 KB more had been published, something buffers the stream"
      : "";
    return `the first event published did not arrive within ${context.waitMs} ms${after}`;
  } catch (error) {
    return `nothing could be published: ${error instanceof Error ? error.message : error}`;
  }
}

interface Known {
  readonly learned: Learned;
  readonly target: Target;
}

/** Why the check cannot say anything here, undefined when it can. */
function unmet(needs: readonly Need[], { learned, target }: Known): string | undefined {
  if (learned.disabled !== needs.includes("disabled")) {
    return learned.disabled ? "streaming is switched off" : "streaming is not switched off";
  }
  const { streamProblem } = learned;
  const needsStream = needs.some((need) => need !== "auth" && need !== "mint" && need !== "disabled");
  if (needsStream && streamProblem) return `no stream could be opened: ${streamProblem}`;
  if (needs.includes("publish") && learned.publishProblem) return learned.publishProblem;
  if (needs.includes("traffic") && !learned.hasTraffic) return `no event was seen: ${learned.publishProblem}`;
  if (needs.includes("ids") && !learned.hasIds) {
    return learned.hasTraffic ? "events carry no id" : `no event was seen: ${learned.publishProblem}`;
  }
  if (needs.includes("types") && !learned.keepsTypes) return "events do not keep their type on the way in";
  if (needs.includes("auth") && !target.token) return "needs a token (--token)";
  if (needs.includes("mint") && !target.mintToken) return "needs tokens that end soon (--mint)";
  return undefined;
}

async function perform(
  target: Target,
  learned: Learned,
  check: Check,
  othersDone?: Promise<void>,
): Promise<Result> {
  const level = check.levels[learned.profile] ?? "SHOULD";
  const startMs = performance.now();
  const result = (outcome: Outcome): Result => ({
    check,
    level,
    outcome,
    ms: Math.round(performance.now() - startMs),
  });
  const reason = unmet(check.needs, { learned, target });
  if (reason) return result({ kind: "not-run", reason });

  const context = createContext(target, learned, othersDone);
  const deadline = new AbortController();
  const { signal } = deadline;
  const limitMs = target.patienceMs + CHECK_SLACK_MS;
  // A check beside the others may wait for them, and that is no time of its own.
  const late = async (): Promise<Outcome> => {
    await othersDone;
    await sleep(limitMs, undefined, { signal, ref: false });
    return { kind: "fail", seen: `not done within ${limitMs} ms` };
  };
  try {
    return result(await Promise.race([check.run(context), late()]));
  } catch (error) {
    return result({ kind: "fail", seen: error instanceof Error ? error.message : String(error) });
  } finally {
    deadline.abort();
    context.close();
  }
}

/**
 * Runs the checks: those that mostly wait beside the others, those that want to be alone last. What is not begun when
 * `budgetMs` is over is not run. Results are in the order of the checks.
 */
export async function runChecks(
  session: Session,
  checks: readonly Check[],
  { budgetMs, onResult }: { budgetMs: number; onResult?: (result: Result) => void },
): Promise<Result[]> {
  const results = new Map<Check, Result>();
  const endMs = performance.now() + budgetMs;
  const run = async (check: Check, othersDone?: Promise<void>) => {
    const level = check.levels[session.learned.profile] ?? "SHOULD";
    const late: Outcome = {
      kind: "not-run",
      reason: `the ${Math.round(budgetMs / 1000)} s of the run were over`,
    };
    const result =
      performance.now() > endMs
        ? { check, level, outcome: late, ms: 0 }
        : await session.perform(check, othersDone);
    results.set(check, result);
    onResult?.(result);
  };
  let release = () => {};
  const othersDone = new Promise<void>((resolve) => {
    release = resolve;
  });
  const background = checks
    .filter(({ stage }) => stage === "background")
    .map((check) => run(check, othersDone));
  for (const check of checks.filter(({ stage }) => stage === undefined)) await run(check);
  release();
  await Promise.all(background);
  for (const check of checks.filter(({ stage }) => stage === "alone")) await run(check);
  return checks.flatMap((check) => results.get(check) ?? []);
}
