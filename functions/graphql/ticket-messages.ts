/** The messages of a ticket book: the newest whole, of older ones where the log has them. Bounded. */
import type { Cursor } from "../core/cursor.ts";
import type { TicketMessage } from "./ticket-events.ts";
import { createShelf } from "./ticket-shelf.ts";

/** Characters of the messages of one company that are held whole. */
const MAX_CHARS = 1024 * 1024;
/** Characters counted for a message beside its text, and for a place: a little more than they take. */
const MESSAGE_CHARS = 250;
const PLACE_CHARS = 150;
/** Messages of one company whose place alone is known; older ones are as if the log had forgotten them. */
const MAX_PLACES = 20_000;

/** A message, or where the log has it. */
export type MessageOrPlace = TicketMessage | Cursor;

export interface TicketMessages {
  /** About the characters they hold in memory. */
  chars(): number;
  /** Undefined: it is not held whole. */
  get(ticketId: string, id: string): TicketMessage | undefined;
  /** The newest ones of a ticket, or those right before one of them, the oldest first. Undefined: there is none of the id `before`. */
  page(ticketId: string, last: number, before: string | undefined): readonly MessageOrPlace[] | undefined;
  add(message: TicketMessage, cursor: Cursor): void;
}

interface Held {
  readonly ticketId: string;
  readonly id: string;
  readonly found: MessageOrPlace;
  readonly cursor: Cursor;
}

export function createTicketMessages(): TicketMessages {
  const places = createShelf<Held>({ maxChars: MAX_PLACES * PLACE_CHARS, weigh: () => PLACE_CHARS });
  const whole = createShelf<Held & { readonly found: TicketMessage }>({
    maxChars: MAX_CHARS,
    weigh: ({ found }) => found.text.length + MESSAGE_CHARS,
    onDrop: ({ ticketId, id, cursor }) => places.add({ ticketId, id, cursor, found: cursor }),
  });

  return {
    chars: () => whole.chars() + places.chars(),
    get: (ticketId, id) => whole.get(ticketId, id)?.found,
    page(ticketId, last, before) {
      const all: readonly Held[] = [...places.of(ticketId), ...whole.of(ticketId)];
      const end = before === undefined ? all.length : all.findLastIndex(({ id }) => id === before);
      if (end < 0) return undefined;
      return all.slice(Math.max(0, end - last), end).map(({ found }) => found);
    },
    add(message, cursor) {
      const { ticketId, id } = message;
      if (places.get(ticketId, id) === undefined) whole.add({ ticketId, id, cursor, found: message });
    },
  };
}
