/** A filter of log lines: of one service, from one level on. What a line says of both is read once, however many filters ask. */
import { recordData } from "../core/event.ts";
import type { LogEntry } from "../core/log-entry.ts";
import { LOG_LEVELS, LOG_LINE_TYPE, type LogLevel, parseLogLine } from "../core/log-line.ts";
import type { EventFilter } from "../ports/hub.ts";

/** What of a line a filter goes by. */
export interface LineFacts {
  readonly service: string;
  /** Its place in LOG_LEVELS. */
  readonly level: number;
}

/** For as long as somebody holds the entries. No more than a memory: it follows from them alone. */
const known = new WeakMap<LogEntry, LineFacts>();

export interface LineFilter extends EventFilter {
  /** Of an event that is a log line. */
  matchesLine(facts: LineFacts): boolean;
}

/** Of an entry that is a log line. */
export function lineFacts(entry: LogEntry): LineFacts {
  let facts = known.get(entry);
  if (facts === undefined) {
    const { service, level } = parseLogLine(JSON.parse(recordData(entry.record)));
    facts = { service, level: LOG_LEVELS.indexOf(level) };
    known.set(entry, facts);
  }
  return facts;
}

/** `service`: undefined: every one. `level`: the least. */
export function lineFilter({
  service,
  level,
}: {
  readonly service: string | undefined;
  readonly level: LogLevel;
}): LineFilter {
  const least = LOG_LEVELS.indexOf(level);
  // No type begins with an equals sign (functions/hub/type-filter.ts), and no service is named with a star.
  const key = `=${LOG_LINE_TYPE} ${service ?? "*"} ${level}`;
  // Then it is not read what they say.
  const isEvery = service === undefined && least === 0;
  const matchesLine = (facts: LineFacts) =>
    facts.level >= least && (service === undefined || facts.service === service);
  return {
    key,
    matchesLine,
    matches(type, entry) {
      if (type !== LOG_LINE_TYPE) return false;
      return isEvery || matchesLine(lineFacts(entry));
    },
  };
}
