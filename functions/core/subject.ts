/** Subject to event type, where the source has no rule of its own (CONTRACT.md section 3). */
import { type EventType, parseEventType } from "./ids.ts";

const EXACT: Readonly<Record<string, string>> = {
  "metrics.sroi": "sroi_updated",
  "metrics.sroi_calculated": "sroi_updated",
};

const PREFIX: readonly (readonly [prefix: string, type: string])[] = [
  ["metrics.", "metric_updated"],
  ["q2q.", "vis_updated"],
  ["journey.", "journey_flag_updated"],
];

/**
 * The event type of a subject. A subject with no rule is its own type, dots kept, in lower case (types have no capitals).
 * @throws MillraceError `invalid-input` when the subject cannot be a type.
 */
export function typeOfSubject(subject: string): EventType {
  if (Object.hasOwn(EXACT, subject)) return EXACT[subject] as EventType;
  const rule = PREFIX.find(([prefix]) => subject.startsWith(prefix) && subject.length > prefix.length);
  return rule ? (rule[1] as EventType) : parseEventType(subject.toLowerCase());
}
