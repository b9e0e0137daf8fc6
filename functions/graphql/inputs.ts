/** What clients may say in arguments, beyond their types. @throws MillraceError `invalid-input` naming the argument. */
import { type EventType, parseEventType, quote } from "../core/ids.ts";
import { MAX_FILTER_TYPES } from "../core/limits.ts";
import { invalid } from "./errors.ts";
import type { TicketChanges } from "./ticket-events.ts";

/** Items of one page. */
export const MAX_PAGE = 100;
/** Characters. */
const MAX_SUBJECT = 200;
const MAX_TEXT = 8_000;
const MAX_ASSIGNEE = 256;

const ID = /^[A-Za-z0-9._-]{1,64}$/;

/** A new one where none is given. */
export function readId(name: string, given: string | null | undefined): string {
  if (given === undefined || given === null) return crypto.randomUUID();
  if (ID.test(given)) return given;
  throw invalid(`Cannot read ${name} ${quote(given)}: expected 1-64 characters of A-Z a-z 0-9 . _ -`);
}

/** How many items are wanted. */
export function readPageSize(name: string, given: number | null | undefined): number {
  const count = given ?? Number.NaN;
  if (count >= 1 && count <= MAX_PAGE) return count;
  throw invalid(`Cannot read ${name} ${quote(String(given))}: expected a whole number from 1 to ${MAX_PAGE}`);
}

/** Undefined: every type. */
export function readEventTypes(given: readonly string[] | null | undefined): EventType[] | undefined {
  if (given === undefined || given === null) return undefined;
  if (given.length <= MAX_FILTER_TYPES) return [...new Set(given.map(parseEventType))];
  throw invalid(`Cannot read types: ${given.length} of them, expected at most ${MAX_FILTER_TYPES}`);
}

export function readSubject(given: string): string {
  return readText("subject", given, MAX_SUBJECT);
}

export function readMessageText(given: string): string {
  return readText("text", given, MAX_TEXT);
}

/** Null: nobody. */
export function readAssignee(given: string | null | undefined): string | null {
  return given === undefined || given === null ? null : readText("assignee", given, MAX_ASSIGNEE);
}

/** Null says nothing but of the assignee. */
export function readChanges(
  given: { readonly [Key in keyof TicketChanges]: TicketChanges[Key] | null },
): TicketChanges {
  const { subject, status, priority, assignee } = given;
  return {
    ...(typeof subject === "string" ? { subject: readSubject(subject) } : {}),
    ...(status ? { status } : {}),
    ...(priority ? { priority } : {}),
    ...(assignee === undefined ? {} : { assignee: readAssignee(assignee) }),
  };
}

function readText(name: string, given: string, max: number): string {
  if (given.trim() !== "" && given.length <= max) return given;
  throw invalid(
    `Cannot read ${name}: ${given.length} characters${given.trim() === "" ? ", none to be seen" : ""}, expected 1-${max}`,
  );
}
