/** The conversations that were opened: the open one as far back as the reader went, others shorter. Pure, and bounded. */
import type { Change, Message } from "./api.ts";

/** What stands in a conversation. `key` is its own in it. */
export type Entry = { readonly key: string; readonly atMs: number } & (
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "change"; readonly change: Change }
);

export interface Conversation {
  /** The oldest first. */
  readonly entries: readonly Entry[];
  /** The server may have messages before the first, and there is room for them. */
  readonly hasMore: boolean;
  /** From its first message on. */
  readonly isWhole: boolean;
  /** The server has given it; else it has what was heard since it was asked for. */
  readonly isRead: boolean;
  /** The first message that it has, in the order of the log: what is older comes before that one. */
  readonly firstId: string | undefined;
}

/** Conversations kept beside the open one, so that going back to one is at once. */
const MAX_CONVERSATIONS = 8;
/** Entries of one; more where the reader went further back. */
const MAX_ENTRIES = 400;
/** Entries up to which older ones are asked for: all of them are in the document. */
const MAX_PAGED = 2_000;

export interface Conversations {
  get(ticketId: string): Conversation | undefined;
  /** It is about to be asked for: what is heard until the answer comes must not be missed. */
  expect(ticketId: string): void;
  /** As the server gave it; it has what was heard since, too. */
  put(ticketId: string, messages: readonly Message[], changes: readonly Change[], isWhole: boolean): void;
  /** Those right before the message of id `before`; nothing where that is the first no more. */
  putOlder(ticketId: string, before: string, messages: readonly Message[], isWhole: boolean): void;
  hear(ticketId: string, entry: Entry): void;
  forget(): void;
}

interface Kept {
  entries: Entry[];
  isWhole: boolean;
  readonly isRead: boolean;
  firstId: string | undefined;
  /** Entries it may have. */
  room: number;
}

export function createConversations(): Conversations {
  /** In the order they were opened. */
  const conversations = new Map<string, Kept>();

  const trim = (kept: Kept, room: number): void => {
    kept.room = room;
    if (kept.entries.length <= room) return;
    kept.entries = kept.entries.slice(-room);
    kept.isWhole = false;
    kept.firstId = firstMessage(kept.entries);
  };

  const keep = (id: string, conversation: Omit<Kept, "room">): void => {
    conversations.delete(id);
    for (const other of conversations.values()) trim(other, MAX_ENTRIES);
    conversations.set(id, { ...conversation, room: MAX_ENTRIES });
    if (conversations.size > MAX_CONVERSATIONS) conversations.delete(conversations.keys().next().value!);
  };

  return {
    get(id) {
      const kept = conversations.get(id);
      if (kept === undefined) return undefined;
      const { entries, isWhole, isRead, firstId } = kept;
      const hasMore = isRead && !isWhole && firstId !== undefined && entries.length < MAX_PAGED;
      return { entries, isWhole, isRead, firstId, hasMore };
    },
    expect(id) {
      if (!conversations.has(id))
        keep(id, { entries: [], isWhole: false, isRead: false, firstId: undefined });
    },
    put(id, messages, changes, isWhole) {
      const given = [...messages.map(entryOf), ...changes.map((change) => changeEntry(id, change))];
      const entries = joined(given, conversations.get(id)?.entries ?? []);
      keep(id, { entries, isWhole, isRead: true, firstId: messages[0]?.id ?? firstMessage(entries) });
    },
    putOlder(id, before, messages, isWhole) {
      const kept = conversations.get(id);
      if (kept === undefined || kept.firstId !== before) return;
      kept.entries = joined(messages.map(entryOf), kept.entries);
      kept.isWhole = isWhole;
      kept.firstId = messages[0]?.id ?? before;
      // What is heard takes nothing away from a reader who went back.
      kept.room = kept.entries.length + MAX_ENTRIES;
    },
    hear(id, entry) {
      const kept = conversations.get(id);
      if (kept === undefined || kept.entries.some(({ key }) => key === entry.key)) return;
      const isLast = entry.atMs >= (kept.entries.at(-1)?.atMs ?? 0);
      kept.entries.push(entry);
      if (!isLast) kept.entries.sort(byTime);
      if (entry.kind === "message") kept.firstId ??= entry.key;
      trim(kept, kept.room);
    },
    forget: () => conversations.clear(),
  };
}

/** What was given, and of what was there the rest. */
function joined(given: readonly Entry[], others: readonly Entry[]): Entry[] {
  const keys = new Set(given.map(({ key }) => key));
  return [...given, ...others.filter(({ key }) => !keys.has(key))].sort(byTime);
}

const firstMessage = (entries: readonly Entry[]) => entries.find(({ kind }) => kind === "message")?.key;

export const entryOf = (message: Message): Entry => ({
  ...{ key: message.id, kind: "message", atMs: msOf(message.at), message },
});

export const changeEntry = (ticketId: string, change: Change): Entry => ({
  ...{ key: changeKey(ticketId, change.id), kind: "change", atMs: msOf(change.at), change },
});

/** No message's id can be the same. */
export const changeKey = (ticketId: string, id: string): string => `ticket.updated/${ticketId}/${id}`;

/** The sort is stable: what has the same time stays in the order of the log. */
const byTime = (a: Entry, b: Entry) => a.atMs - b.atMs;

/** Milliseconds since 1970; 0 where the text says no time. */
export function msOf(time: string): number {
  return Date.parse(time) || 0;
}
