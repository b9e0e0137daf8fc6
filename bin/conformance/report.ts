/** The report: for people, and as JSON. */
import type { Level } from "./check.ts";
import type { Result, Session } from "./run.ts";

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly notRun: number;
}

export interface Score {
  readonly MUST: Tally;
  readonly SHOULD: Tally;
  /** 100 x passed / (passed + failed) over both levels, every check weighing the same; undefined when none ran. */
  readonly percent: number | undefined;
}

/** Counts by level. What did not run counts for nothing. */
export function scoreOf(results: readonly Result[]): Score {
  const tally = (level: Level): Tally => {
    const kinds = results.filter((result) => result.level === level).map(({ outcome }) => outcome.kind);
    const count = (kind: string) => kinds.filter((each) => each === kind).length;
    return { passed: count("pass"), failed: count("fail"), notRun: count("not-run") };
  };
  const must = tally("MUST");
  const should = tally("SHOULD");
  const passed = must.passed + should.passed;
  const ran = passed + must.failed + should.failed;
  return {
    MUST: must,
    SHOULD: should,
    // Rounded down: only a server without a failure scores 100.
    percent: ran === 0 ? undefined : Math.floor((1_000 * passed) / ran) / 10,
  };
}

const WORD = { pass: "pass", fail: "FAIL", "not-run": "-" } as const;
const COLOUR = { pass: 32, fail: 31, "not-run": 2 } as const;

/** One line a check, and for a failure what was seen and where the rule is written. */
function resultLines({ check, level, outcome }: Result, colour: boolean): string {
  const paint = (text: string) => (colour ? `\x1b[${COLOUR[outcome.kind]}m${text}\x1b[0m` : text);
  const line = `  ${paint(WORD[outcome.kind].padEnd(4))}  ${level.padEnd(6)}  ${check.id.padEnd(28)}  ${check.title}`;
  if (outcome.kind === "pass") return line;
  const indent = " ".repeat(16);
  if (outcome.kind === "not-run") return `${line}\n${indent}not run: ${outcome.reason}`;
  return `${line}\n${indent}${outcome.seen}\n${indent}(${check.source})`;
}

/** The whole report as text: by area, then the score. */
export function textReport(
  { target, learned }: Session,
  results: readonly Result[],
  colour: boolean,
): string {
  const lines = [`${target.url}${target.streamPath}, profile ${learned.profile}`];
  let area = "";
  for (const result of results) {
    if (result.check.area !== area) {
      area = result.check.area;
      lines.push("", area);
    }
    lines.push(resultLines(result, colour));
  }
  const { MUST, SHOULD, percent } = scoreOf(results);
  const level = (name: string, { passed, failed, notRun }: Tally) =>
    `${name.padEnd(6)}  ${passed} of ${passed + failed} passed, ${notRun} not run`;
  lines.push("", level("MUST", MUST), level("SHOULD", SHOULD));
  lines.push(`score   ${percent === undefined ? "none: nothing could be run" : `${percent} %`}`);
  return lines.join("\n");
}

/** The same for machines. */
export function jsonReport({ target, learned }: Session, results: readonly Result[]): string {
  return JSON.stringify(
    {
      url: `${target.url}${target.streamPath}`,
      profile: learned.profile,
      company: target.company,
      time: new Date().toISOString(),
      score: scoreOf(results),
      checks: results.map(({ check, level, outcome, ms }) => ({
        id: check.id,
        area: check.area,
        level,
        title: check.title,
        source: check.source,
        outcome: outcome.kind,
        detail: outcome.kind === "not-run" ? outcome.reason : outcome.seen,
        ms,
      })),
    },
    undefined,
    2,
  );
}
