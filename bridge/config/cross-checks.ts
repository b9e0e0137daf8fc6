/** What is wrong with bridge.yaml and no single value shows. */
import { isObject } from "../message-view.ts";
import type { BrokerSettings, Problem, Unchecked } from "./kind.ts";

/**
 * Looks at the file as it is written, valid or not, so that these are said along with everything else.
 * @param problemsOf Of one source, by its kind.
 */
export function crossProblems(
  value: unknown,
  problemsOf: (source: Unchecked, settings: BrokerSettings) => readonly Problem[],
  settings: BrokerSettings,
): Problem[] {
  const sources = isObject(value) && Array.isArray(value.sources) ? (value.sources as unknown[]) : [];
  const names = new Map<unknown, number>();
  return sources.flatMap((source, index) => {
    if (!isObject(source)) return [];
    const problems = problemsOf(source, settings).map(({ path, message }) => ({
      path: ["sources", index, ...path],
      message,
    }));
    const namesake = names.get(source.name);
    if (typeof source.name === "string" && namesake !== undefined) {
      const message = `is that of sources[${namesake}] too, expected one of its own`;
      problems.push({ path: ["sources", index, "name"], message });
    }
    names.set(source.name, namesake ?? index);
    return problems;
  });
}
