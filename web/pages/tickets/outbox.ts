/**
 * What was sent and is not seen in the log yet. One at a time, in the order it was written; what the server could not be told is sent again
 * with the same id, so that it is stored once, however often the answer was lost. It outlives a reload of the tab.
 */
import { type Api, ApiError, type Mutation } from "./api.ts";

export interface Sending {
  /** The message's, the update's or the ticket's own. */
  readonly id: string;
  readonly ticketId: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly what: Mutation;
  /** `sent`: the server has it, and it has not come back by the stream yet. */
  readonly state: "sending" | "sent" | "failed";
  /** Why it is not sent yet, or will not be. */
  readonly problem?: string;
}

export interface Outbox {
  /** The oldest first. */
  all(): readonly Sending[];
  of(ticketId: string): readonly Sending[];
  add(what: Mutation, id: string, ticketId: string): void;
  /** It is in the log. */
  seen(id: string): void;
  /** One that failed, again. */
  retry(id: string): void;
  discard(id: string): void;
  /** The server may be back: no need to wait any longer. */
  nudge(): void;
}

export interface OutboxOptions {
  readonly api: Api;
  /** Where it is kept: begins a key of the tab's storage. */
  readonly key: string;
  /** Whose it is: nobody else who signs in in the same tab sends it. Undefined: of whoever signs in next. */
  readonly name: string | undefined;
  onChange(): void;
  /** The server wants to know who is asking. */
  onUnauthorized(why: string): void;
}

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;
/** Items the server has that no stream has confirmed: the oldest are forgotten, they are stored. */
const MAX_SENT = 100;

export function createOutbox({ api, key: base, name, onChange, onUnauthorized }: OutboxOptions): Outbox {
  const key = name === undefined ? base : `${base}/${name}`;
  let items = restore(key);
  if (name !== undefined) {
    items = [...items, ...restore(base)];
    store(base, []);
    store(key, items);
  }
  let isBusy = false;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const set = (next: readonly Sending[]): void => {
    const sent = next.filter(({ state }) => state === "sent");
    const forgotten = new Set(sent.slice(0, Math.max(0, sent.length - MAX_SENT)));
    items = next.filter((item) => !forgotten.has(item));
    store(
      key,
      items.filter(({ state }) => state !== "sent"),
    );
    onChange();
  };
  const change = (id: string, { problem, ...changes }: Pick<Sending, "state" | "problem">): void =>
    set(
      items.map((item) => {
        if (item.id !== id) return item;
        const { problem: _, ...rest } = item;
        return { ...rest, ...changes, ...(problem === undefined ? {} : { problem }) };
      }),
    );

  async function pump(): Promise<void> {
    clearTimeout(timer);
    if (isBusy) return;
    isBusy = true;
    for (;;) {
      const item = items.find(({ state }) => state === "sending");
      if (item === undefined) break;
      try {
        await api.send(item.what, item.id, item.ticketId);
        failures = 0;
        if (items.some(({ id }) => id === item.id)) change(item.id, { state: "sent" });
      } catch (error) {
        const { message, passes, status } = error instanceof ApiError ? error : UNKNOWN;
        if (status === 401) {
          // Whoever signs in loads the page again, and then it is sent.
          change(item.id, { state: "sending", problem: message });
          onUnauthorized(message);
          break;
        }
        if (passes) {
          change(item.id, { state: "sending", problem: message });
          timer = setTimeout(() => void pump(), Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++));
          break;
        }
        change(item.id, { state: "failed", problem: message });
      }
    }
    isBusy = false;
  }
  void pump();

  return {
    all: () => items,
    of: (ticketId) => items.filter((item) => item.ticketId === ticketId),
    add(what, id, ticketId) {
      set([...items, { id, ticketId, atMs: Date.now(), what, state: "sending" }]);
      void pump();
    },
    seen(id) {
      if (items.some((item) => item.id === id)) set(items.filter((item) => item.id !== id));
    },
    retry(id) {
      change(id, { state: "sending" });
      void pump();
    },
    discard: (id) => set(items.filter((item) => item.id !== id)),
    nudge() {
      failures = 0;
      void pump();
    },
  };
}

const UNKNOWN = { message: "it was not understood", passes: false, status: 0 };

function restore(key: string): readonly Sending[] {
  try {
    const stored = JSON.parse(sessionStorage.getItem(key) ?? "[]") as Sending[];
    return stored.map(({ problem: _, ...item }) => ({ ...item, state: "sending" }));
  } catch {
    return [];
  }
}

function store(key: string, items: readonly Sending[]): void {
  try {
    if (items.length === 0) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(items));
  } catch {
    // Storage is full or switched off: then it lives as long as the page.
  }
}
