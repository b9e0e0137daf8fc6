/** What a ticket book keeps of each ticket in the order of the log, bounded over all tickets: the oldest leaves first. */

interface Shelf<Item> {
  /** About the characters it holds in memory. */
  chars(): number;
  /** Of one ticket, the oldest first. */
  of(ticketId: string): readonly Item[];
  get(ticketId: string, id: string): Item | undefined;
  /** Behind all others; one of an id that is there already stays as it is. */
  add(item: Item): void;
}

interface ShelfOptions<Item> {
  readonly maxChars: number;
  weigh(item: Item): number;
  /** It was the oldest, and there was no room. */
  onDrop?(item: Item): void;
}

export function createShelf<Item extends { readonly ticketId: string; readonly id: string }>({
  maxChars,
  weigh,
  onDrop,
}: ShelfOptions<Item>): Shelf<Item> {
  const keyOf = (ticketId: string, id: string) => `${ticketId}/${id}`;
  /** Of all tickets, in the order they came. */
  const items = new Map<string, Item>();
  const byTicket = new Map<string, Item[]>();
  let chars = 0;

  const dropOldest = () => {
    const [key, item] = items.entries().next().value!;
    items.delete(key);
    chars -= weigh(item);
    const others = byTicket.get(item.ticketId)!;
    others.shift();
    if (others.length === 0) byTicket.delete(item.ticketId);
    onDrop?.(item);
  };

  return {
    chars: () => chars,
    of: (ticketId) => byTicket.get(ticketId) ?? [],
    get: (ticketId, id) => items.get(keyOf(ticketId, id)),
    add(item) {
      const key = keyOf(item.ticketId, item.id);
      if (items.has(key)) return;
      items.set(key, item);
      chars += weigh(item);
      const others = byTicket.get(item.ticketId);
      if (others === undefined) byTicket.set(item.ticketId, [item]);
      else others.push(item);
      while (chars > maxChars) dropOldest();
    },
  };
}
