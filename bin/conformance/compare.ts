/** Comparing what was received with what was due, and saying the first difference in words. */
import { show } from "./sse-parser.ts";

/** Undefined when `got` is `due`, entry by entry; else what is wrong first, with the counts. */
export function compareOrder(
  due: readonly string[],
  got: readonly string[],
  what = "event",
): string | undefined {
  const counts = `received ${got.length} ${what}s, expected ${due.length}`;
  const seen = new Set<string>();
  const repeated = got.find((entry) => seen.size === seen.add(entry).size);
  if (repeated !== undefined) return `${what} ${show(repeated)} came twice (${counts})`;
  const lost = due.filter((entry) => !seen.has(entry));
  if (lost.length > 0) {
    const tail = lost.length === 1 ? "" : ` and ${lost.length - 1} more`;
    return `${what} ${due.indexOf(lost[0]!) + 1} of ${due.length}, ${show(lost[0]!)},${tail} never came (${counts})`;
  }
  const known = new Set(due);
  const extra = got.find((entry) => !known.has(entry));
  if (extra !== undefined) return `${what} ${show(extra)} came and was not due (${counts})`;
  const at = got.findIndex((entry, index) => entry !== due[index]);
  if (at >= 0) return `${what} ${show(got[at]!)} came in place ${at + 1}, where ${show(due[at]!)} was due`;
  return undefined;
}

/** Whether two JSON values are equal, key order aside. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) &&
        sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}
