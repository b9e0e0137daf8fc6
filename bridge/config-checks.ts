/** What is wrong with bridge.yaml and no single value shows. */
import type { BrokerSettings } from "./config.ts";

export interface Problem {
  /** Of the value, from the top of the file. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Looks at the file as it is written, valid or not, so that these are said along with everything else. */
export function crossProblems(value: unknown, settings: BrokerSettings): Problem[] {
  const sources = isRecord(value) && Array.isArray(value.sources) ? (value.sources as unknown[]) : [];
  const names = new Map<unknown, number>();
  return sources.flatMap((source, index) => {
    const problems: Problem[] = [];
    if (!isRecord(source)) return problems;
    const say = (key: PropertyKey[], message: string) =>
      problems.push({ path: ["sources", index, ...key], message });
    const namesake = names.get(source.name);
    if (typeof source.name === "string" && namesake !== undefined) {
      say(["name"], `is that of sources[${namesake}] too, expected one of its own`);
    }
    names.set(source.name, namesake ?? index);
    const isOn = source.enabled !== false;
    if (isOn && source.kind === "nats" && source.url === undefined && !settings.NATS_URL) {
      say(["url"], "missing, expected it here or in NATS_URL");
    }
    if (isOn && source.kind === "framed-tcp" && source.address === undefined && !settings.BROKER_ADDR) {
      say(["address"], "missing, expected it here or in BROKER_ADDR");
    }
    if (source.jetstream !== undefined) {
      for (const key of ["queue", "maxPending"]) {
        if (source[key] !== undefined) say([key], "is for core subscriptions, expected none with jetstream");
      }
    }
    const subjects = Array.isArray(source.subjects) ? (source.subjects as unknown[]).map(String) : [];
    for (const [at, subject] of subjects.entries()) {
      const other = subjects.findIndex((earlier, i) => i < at && overlap(earlier, subject));
      if (other >= 0) {
        say(["subjects", at], `overlaps subjects[${other}], expected each message to match one of them`);
      }
    }
    return problems;
  });
}

/** Whether a message can match both subjects. */
function overlap(a: string, b: string): boolean {
  const [left, right] = [a.split("."), b.split(".")];
  for (let i = 0; i < left.length || i < right.length; i++) {
    const [one, other] = [left[i], right[i]];
    if (one === undefined || other === undefined) return false;
    if (one === ">" || other === ">") return true;
    if (one !== other && one !== "*" && other !== "*") return false;
  }
  return true;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
