/** Tickets, people and times in words. */
import { tokenFacts } from "../../kit/token.ts";
import type { Change, Changes, Message, Priority, Status } from "./api.ts";

export const STATUS_WORDS: Readonly<Record<Status, string>> = {
  OPEN: "Open",
  PENDING: "Pending",
  CLOSED: "Closed",
};
export const PRIORITY_WORDS: Readonly<Record<Priority, string>> = {
  LOW: "Low",
  NORMAL: "Normal",
  HIGH: "High",
  URGENT: "Urgent",
};

/** Who is reading. */
export interface Me {
  /** The token's subject; undefined where nobody is asked who they are. */
  readonly name: string | undefined;
  /** Begins the ids of what this tab writes: by it a tab without a name knows its own. */
  readonly prefix: string;
}

const KEY = "millrace.tickets.me";

export function readMe(token: string | undefined): Me {
  const name = tokenFacts(token).subject;
  try {
    const prefix = sessionStorage.getItem(KEY) ?? randomText();
    sessionStorage.setItem(KEY, prefix);
    return { name, prefix };
  } catch {
    return { name, prefix: randomText() };
  }
}

/** An id for something of this tab's. */
export function newId({ prefix }: Me): string {
  return `${prefix}-${randomText()}${randomText()}`;
}

/** `crypto.randomUUID` is not there where the page came over plain HTTP. */
function randomText(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

export function isMine({ author, id }: Pick<Message, "author" | "id">, { name, prefix }: Me): boolean {
  return name === undefined ? author === null && id.startsWith(`${prefix}-`) : author === name;
}

export const NOBODY = "Anonymous";

/** Who wrote it, as the reader calls them. */
export function authorOf(message: Pick<Message, "author" | "id">, me: Me): string {
  return isMine(message, me) ? "You" : (message.author ?? NOBODY);
}

/** A change as a sentence without a period: what, and by whom where that is known. */
export function describeChange({ changes, by }: Pick<Change, "changes" | "by">, { name }: Me): string {
  const { assignee, ...others } = changes;
  const isTaken = by !== null && assignee === by && Object.keys(others).length === 0;
  const what = isTaken ? "Taken" : describeChanges(changes);
  return by === null ? what : `${what} by ${by === name ? "you" : by}`;
}

function describeChanges({ status, priority, assignee, subject }: Changes): string {
  const parts = [
    ...(status === undefined ? [] : [`Status → ${STATUS_WORDS[status]}`]),
    ...(priority === undefined ? [] : [`Priority → ${PRIORITY_WORDS[priority]}`]),
    ...(assignee === undefined ? [] : [assignee === null ? "Assigned to nobody" : `Assigned to ${assignee}`]),
    ...(subject === undefined ? [] : [`Subject → ${subject}`]),
  ];
  return parts.join(" · ") || "Touched";
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const SHORT_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "medium", hourCycle: "h23" });

/** `14:03`. */
export const clockOf = (ms: number): string => TIME.format(ms);
/** `21 November 2026 at 14:03:07`. */
export const momentOf = (ms: number): string => WHOLE.format(ms);

/** `Today`, `Yesterday` or the day. */
export function dayOf(ms: number, nowMs = Date.now()): string {
  const day = DAY.format(ms);
  if (day === DAY.format(nowMs)) return "Today";
  return day === DAY.format(nowMs - 86_400_000) ? "Yesterday" : day;
}

/** `14:03` of today, else the day: for a list. */
export function shortTimeOf(ms: number, nowMs = Date.now()): string {
  return dayOf(ms, nowMs) === "Today" ? clockOf(ms) : SHORT_DAY.format(ms);
}

/** One of the tones of base.css, the same for a name everywhere. */
export function toneOf(name: string): string {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 997;
  return String(sum % 6);
}

/** Two letters for a name. */
export function initialsOf(name: string): string {
  const [first = "?", second] = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = second === undefined ? [...first].slice(0, 2) : [[...first][0], [...second][0]];
  return letters.join("").toUpperCase();
}
