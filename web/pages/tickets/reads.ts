/** What the reader has seen, in this browser: what is newer is unread. */

export interface Reads {
  isUnread(ticketId: string, lastMs: number): boolean;
  /** `ms`: the time of the last message that was seen. */
  mark(ticketId: string, ms: number): void;
}

/** Tickets remembered; those that were read longest ago are forgotten. */
const MAX_TICKETS = 300;

interface Stored {
  /** What is older was there before the reader came first. */
  readonly sinceMs: number;
  readonly read: Readonly<Record<string, number>>;
}

/** `newestMs`: of what there is when the reader comes for the first time. `onChange`: another tab has read something. */
export function openReads(companyId: string, newestMs: number, onChange: () => void): Reads {
  const key = `millrace.tickets.read.${companyId}`;
  let stored: Stored = { sinceMs: newestMs, read: {} };
  const load = (): boolean => {
    try {
      const { sinceMs, read } = Object(JSON.parse(localStorage.getItem(key) ?? "null")) as Partial<Stored>;
      if (typeof sinceMs !== "number") return false;
      stored = { sinceMs, read: Object(read) };
      return true;
    } catch {
      return false;
    }
  };
  const save = (): void => {
    try {
      localStorage.setItem(key, JSON.stringify(stored));
    } catch {}
  };
  if (!load()) save();
  addEventListener("storage", (event) => {
    if (event.key === key && load()) onChange();
  });

  return {
    isUnread: (ticketId, lastMs) => lastMs > (stored.read[ticketId] ?? stored.sinceMs),
    mark(ticketId, ms) {
      if (ms <= (stored.read[ticketId] ?? stored.sinceMs)) return;
      const { [ticketId]: _, ...others } = stored.read;
      const kept = Object.entries(others).slice(-(MAX_TICKETS - 1));
      stored = { ...stored, read: { ...Object.fromEntries(kept), [ticketId]: ms } };
      save();
    },
  };
}
