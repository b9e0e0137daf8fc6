/** The events of a company behind a cursor, by whatever gets through: server-sent events, else a WebSocket, else history asked for again and again. */
import { readPage, type UpdatesRequest } from "./history.ts";
import { gapOf, type Item, parseJson } from "./item.ts";
import {
  type Attempt,
  isSilence,
  type KeptOpen,
  keepOpen,
  type Outcome,
  type StreamState,
} from "./keep-open.ts";
import { sleep } from "./sleep.ts";
import type { SafeStorage } from "./storage.ts";
import { ENDED, readSse } from "./stream.ts";
import { type GetToken, keepToken, siblingUrl } from "./token.ts";
import { readWebSocket } from "./web-socket.ts";

/** What carries the events. */
export type Transport = "sse" | "websocket" | "polling";

/** As {@link StreamState}; a live one says by what, and whether another tab holds the connection. */
export type SubscriptionState =
  | Exclude<StreamState, { readonly kind: "live" }>
  | { readonly kind: "live"; readonly transport: Transport; readonly shared: boolean };

export interface UpdatesOptions extends UpdatesRequest {
  /** Where to begin; empty: from now on. */
  readonly after: string;
  onItem(item: Item): void;
  /** Not of the end that `close` makes. */
  onState(state: SubscriptionState): void;
  /** Where what worked is remembered, by the server's origin. */
  readonly storage: SafeStorage;
  readonly silenceMs?: number | undefined;
  readonly random?: (() => number) | undefined;
  /** Milliseconds within which a connection has to say its first word. Default 5,000; the server says it at once. */
  readonly firstWordMs?: number | undefined;
  /** Milliseconds between two looks into history. Default 2,000. */
  readonly pollMs?: number | undefined;
}

const TRANSPORTS: readonly Transport[] = ["sse", "websocket", "polling"];
/** Milliseconds after which server-sent events are tried again: the reader may be in another network by now. */
const REMEMBER_MS = 600_000;
/** Live streams in a row that fell silent, after which they are taken for held back. */
const MOST_SILENCES = 2;

type Read = (attempt: Attempt, getToken: GetToken | undefined) => Promise<Outcome>;

/** Every item once and in order, however often the transport changes: one at a time reads, and begins behind the last item. */
export function openUpdates(options: UpdatesOptions): KeptOpen {
  const { storage, firstWordMs = 5000, pollMs = 2000 } = options;
  const { companyId, types } = options;
  const streamUrl = siblingUrl(options.url, "/stream/updates", { companyId, types });
  const memory = `millrace:transport:${streamUrl.origin}`;
  let cursor = options.after;
  let rank = 0;
  /** Milliseconds since 1970, until which `rank` holds. */
  let untilMs = 0;
  let silences = 0;
  let last: AbortSignal | undefined;

  const [savedRank, savedMs] = (storage.get(memory) ?? "").split(" ").map(Number);
  if (savedRank && TRANSPORTS[savedRank] && Number(savedMs) > Date.now()) {
    rank = savedRank;
    untilMs = Number(savedMs);
  }

  const transport = (): Transport => TRANSPORTS[rank] ?? "sse";

  function take(item: Omit<Item, "prev">): void {
    const prev = cursor;
    cursor = item.cursor;
    options.onItem({ ...item, prev });
  }
  function takeFrame(id: string, type: string | undefined, data: unknown): void {
    take(type === "gap" ? { cursor: id, gap: gapOf(data) } : { cursor: id, type, data });
  }

  const read: Readonly<Record<Transport, Read>> = {
    sse: (attempt, getToken) =>
      readSse(streamUrl, { getToken }, attempt, {
        lastEventId: cursor,
        onMove: (id) => takeFrame(id, undefined, undefined),
        onMessage({ type, data, id }) {
          if (id !== undefined) takeFrame(id, type, parseJson(data));
        },
      }),
    websocket: (attempt, getToken) =>
      readWebSocket({ ...options, getToken }, cursor, attempt, ({ id = "", event, data }) =>
        takeFrame(id, event, data),
      ),
    async polling(attempt, getToken) {
      const { signal } = attempt;
      while (!signal.aborted) {
        const page = await readPage({ ...options, getToken }, cursor, attempt);
        if (page.kind !== "page") return page;
        if (signal.aborted) break;
        attempt.heard();
        for (const item of page.items) take(item);
        if (page.next !== cursor) take({ cursor: page.next });
        attempt.live();
        if (Date.now() > untilMs) break;
        if (!page.more) await sleep(pollMs, signal);
      }
      return { kind: "ended", reason: "trying a stream again" };
    },
  };

  /** Goes through the transports until one says something; the loop around it is told of that one alone. */
  async function attemptUpdates(attempt: Attempt): Promise<Outcome> {
    silences = isSilence(last) ? silences + 1 : 0;
    last = attempt.signal;
    if (rank > 0 && Date.now() > untilMs) rank = 0;
    if (rank === 0 && silences >= MOST_SILENCES) moveOn();
    const before = rank;
    const getToken = keepToken(options.getToken);
    try {
      for (let tries = 0; tries < TRANSPORTS.length; tries++) {
        const outcome = await withFirstWord(firstWordMs, attempt, getToken, read[transport()]);
        if (outcome) return outcome;
        moveOn();
      }
    } catch (error) {
      // The server is away: that says nothing of what is on the way to it.
      rank = before;
      throw error;
    }
    return { kind: "ended", reason: "nothing gets through" };
  }

  function moveOn(): void {
    rank = (rank + 1) % TRANSPORTS.length;
    untilMs = Date.now() + REMEMBER_MS;
    silences = 0;
  }

  return keepOpen(attemptUpdates, {
    ...options,
    resumeAfter: () => cursor,
    onState(state) {
      if (state.kind === "live") {
        storage.set(memory, rank ? `${rank} ${untilMs}` : undefined);
        options.onState({ kind: "live", transport: transport(), shared: false });
      } else if (state.kind !== "closed") options.onState(state);
    },
  });
}

/** Runs one transport; `undefined` when nothing is heard of it, or not in time. What a token takes does not count. */
function withFirstWord(
  limitMs: number,
  attempt: Attempt,
  getToken: GetToken | undefined,
  run: Read,
): Promise<Outcome | undefined> {
  const inner = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isHeard = false;
  return new Promise<Outcome | undefined>((resolve, reject) => {
    const arm = (): void => {
      clearTimeout(timer);
      if (isHeard) return;
      timer = setTimeout(() => {
        inner.abort();
        resolve(undefined);
      }, limitMs);
    };
    attempt.signal.addEventListener("abort", () => inner.abort());
    arm();
    run(
      {
        ...attempt,
        signal: inner.signal,
        heard() {
          isHeard = true;
          clearTimeout(timer);
          attempt.heard();
        },
      },
      getToken &&
        (async (why) => {
          clearTimeout(timer);
          try {
            return await getToken(why);
          } finally {
            arm();
          }
        }),
    ).then((outcome) => {
      // Every connection begins with a word of the server's: one without was cut on the way.
      resolve(isHeard || outcome.reason !== ENDED ? outcome : undefined);
    }, reject);
  }).finally(() => clearTimeout(timer));
}
