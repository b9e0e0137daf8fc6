/** What is shown: what the log says, and on top of it what is on its way there. Pure. */
import type { Message, Status, Ticket } from "./api.ts";
import { type Conversation, changeKey, type Entry, msOf } from "./conversations.ts";
import type { Desk, Known } from "./desk.ts";
import type { Outbox, Sending } from "./outbox.ts";
import { authorOf, dayOf, describeChange, isMine, type Me, NOBODY } from "./words.ts";

/** A ticket in the list. */
export interface Row extends Known {
  readonly isUnread: boolean;
  /** The last message with its author. */
  readonly lastWords: string;
  /** The server does not have it yet. */
  readonly isPending: boolean;
}

/** One line of a conversation. */
export type Line = { readonly key: string } & (
  | { readonly kind: "day"; readonly text: string }
  | { readonly kind: "change"; readonly text: string; readonly atMs: number; readonly isPending: boolean }
  | MessageLine
);
export interface MessageLine {
  readonly key: string;
  readonly kind: "message";
  readonly message: Pick<Message, "author" | "text">;
  readonly atMs: number;
  readonly isMine: boolean;
  /** The first of its author's in a row: it says whose they are. */
  readonly isHead: boolean;
  readonly sending: Sending | undefined;
  /** The reader's own that was written last: it says that it was sent. */
  readonly isLastOwn: boolean;
}

/** Milliseconds within which messages of one author are one group. */
const GROUP_MS = 5 * 60_000;

export interface Sources {
  readonly desk: Desk;
  readonly outbox: Outbox;
  readonly me: Me;
}

/** The ticket with the changes that are on their way; undefined: there is none. */
export function ticketOf(id: string, { desk, outbox, me }: Sources): Ticket | undefined {
  let ticket = desk.ticket(id)?.ticket;
  for (const { what, state, atMs } of outbox.of(id)) {
    if (what.kind === "create" && ticket === undefined) {
      const at = new Date(atMs).toISOString();
      const requester = me.name ?? null;
      ticket = { ...what.input, id, status: "OPEN", requester, createdAt: at, updatedAt: at };
    }
    if (what.kind === "update" && state !== "failed" && ticket) ticket = { ...ticket, ...what.input };
  }
  return ticket;
}

export interface Wanted {
  readonly status: Status | undefined;
  /** In small letters. */
  readonly words: string;
  isUnread(ticketId: string, lastMs: number): boolean;
}

/** The tickets that fit, those touched last first. */
export function rowsOf({ status, words, isUnread }: Wanted, sources: Sources): Row[] {
  const { desk, outbox, me } = sources;
  const rows: Row[] = [];
  const add = (known: Known, isPending: boolean): void => {
    const ticket = ticketOf(known.ticket.id, sources) ?? known.ticket;
    const { subject, id, requester, assignee } = ticket;
    if (status !== undefined && ticket.status !== status) return;
    const texts = [subject, id, requester, assignee, known.last?.text, known.last?.author];
    if (words !== "" && !texts.some((text) => text?.toLowerCase().includes(words))) return;
    const { last } = known;
    const mayBeUnread = last !== undefined && !isMine(last, me);
    rows.push({
      ...known,
      ...{ ticket, isPending, isUnread: mayBeUnread && isUnread(ticket.id, msOf(last.at)) },
      lastWords: last === undefined ? "No messages yet" : `${authorOf(last, me)}: ${last.text}`,
    });
  };
  for (const known of desk.tickets()) add(known, false);
  for (const { what, ticketId, atMs } of outbox.all()) {
    const ticket = what.kind === "create" && !desk.ticket(ticketId) ? ticketOf(ticketId, sources) : undefined;
    if (ticket) add({ ticket, last: undefined, touchedMs: atMs }, true);
  }
  return rows.sort((a, b) => b.touchedMs - a.touchedMs || (a.ticket.id < b.ticket.id ? 1 : -1));
}

/** The conversation, the oldest first, with a line before each day. */
export function linesOf(id: string, sources: Sources): Line[] {
  const { desk, outbox, me } = sources;
  const conversation = desk.conversations.get(id);
  const lines: Line[] = [];
  /** When the day began, in the reader's time zone. */
  let dayMs = Number.NaN;
  let before: { author: string; atMs: number } | undefined;
  const begin = (atMs: number): void => {
    const startMs = new Date(atMs).setHours(0, 0, 0, 0);
    if (startMs === dayMs) return;
    dayMs = startMs;
    before = undefined;
    const text = dayOf(atMs);
    lines.push({ kind: "day", key: `day ${text}`, text });
  };
  const change = (key: string, atMs: number, text: string, isPending = false): void => {
    begin(atMs);
    before = undefined;
    lines.push({ kind: "change", key, text, atMs, isPending });
  };
  const say = (key: string, atMs: number, message: MessageLine["message"], sending?: Sending): void => {
    begin(atMs);
    const mine = sending !== undefined || isMine({ author: message.author, id: key }, me);
    const author = mine ? "me" : `of ${message.author}`;
    const isHead = before?.author !== author || atMs - before.atMs > GROUP_MS;
    before = { author, atMs };
    lines.push({ kind: "message", key, message, atMs, isMine: mine, isHead, sending, isLastOwn: false });
  };

  const ticket = ticketOf(id, sources);
  const isNew = outbox.of(id).some(({ what }) => what.kind === "create");
  if (ticket && (conversation?.isWhole ?? isNew)) {
    change("created", msOf(ticket.createdAt), `Created by ${ticket.requester ?? NOBODY}`);
  }
  for (const entry of shownOf(conversation)) {
    if (entry.kind === "change") change(entry.key, entry.atMs, describeChange(entry.change, me));
    else say(entry.key, entry.atMs, entry.message);
  }
  for (const sending of outbox.of(id)) {
    const { what, atMs } = sending;
    if (what.kind === "message") {
      say(sending.id, atMs, { author: me.name ?? null, text: what.text }, sending);
    } else if (what.kind === "update" && sending.state !== "failed") {
      const by = me.name ?? null;
      change(changeKey(id, sending.id), atMs, describeChange({ changes: what.input, by }, me), true);
    }
  }
  const last = lines.findLastIndex((line) => line.kind === "message" && line.isMine);
  if (last >= 0) lines[last] = { ...(lines[last] as MessageLine), isLastOwn: true };
  return lines;
}

/** Without changes from before its first message, as long as that is not the first of all: others may stand between them. */
function shownOf(conversation: Conversation | undefined): readonly Entry[] {
  const { entries = [], isWhole = false, isRead = false } = conversation ?? {};
  if (isWhole || !isRead) return entries;
  const first = entries.findIndex(({ kind }) => kind === "message");
  return first < 0 ? entries : entries.slice(first);
}
