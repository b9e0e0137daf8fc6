/** `subscribe`: a company's events, typed, once and in order, over reloads, cuts, proxies and any number of tabs. */
import { createFollower, type Follower } from "./follower.ts";
import { asReader } from "./identity.ts";
import type { Item, StreamGap } from "./item.ts";
import { type Outcome, tell } from "./keep-open.ts";
import { listen } from "./listen.ts";
import { safeStorage } from "./storage.ts";
import { canShare, joinTabs, type Tabs } from "./tabs.ts";
import { type GetToken, siblingUrl } from "./token.ts";
import { openUpdates, type SubscriptionState } from "./updates.ts";

/** One event. `T` is what the caller says that its data is; nothing checks it. */
export interface SubscriptionEvent<T = unknown> {
  readonly type: string;
  /** Parsed JSON. A number of more digits than JavaScript keeps has lost some. */
  readonly data: T;
  /** Where it stands in the log; opaque. */
  readonly cursor: string;
  readonly companyId: string;
}

export interface SubscribeOptions<T = unknown> {
  /** The server's origin, such as `https://events.example.com`; `location.origin` when it serves the page. A path is ignored. */
  readonly url: string | URL;
  /** Whose events: 1-64 of `A-Z a-z 0-9 . _ -`. */
  readonly companyId: string;
  /** Only these event types, at most 32. Default, or empty: all. */
  readonly types?: readonly string[] | undefined;
  /**
   * Gives a token of the reader; asked for before each connection, after a 401, and when the server wants a fresh one for an open stream.
   * Default: none, for a server that lets in by its cookie, or anybody.
   */
  readonly getToken?: GetToken | undefined;
  /** Each event once, in the order of the log. One that throws stops nothing. */
  onEvent(event: SubscriptionEvent<T>): void;
  /** Events that cannot be delivered any more. What was built of events before may be wrong. */
  onGap?: ((gap: StreamGap) => void) | undefined;
  onState?: ((state: SubscriptionState) => void) | undefined;
  /** Where to begin: an event's cursor. Default: where this tab was before a reload, else from now on. */
  readonly after?: string | undefined;
  /**
   * Where the cursor is kept, under a hash of server, company, types and reader. Default: `sessionStorage`, so it outlives a reload and not
   * the tab. `localStorage` outlives the tab, with as many events to catch up with. `false`: nowhere.
   */
  readonly resume?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | false | undefined;
  /** One connection for all tabs of this origin with the same server, company, types and reader. Default true. */
  readonly share?: boolean | undefined;
  /** A connection silent for this many milliseconds is taken for dead. Default 45,000: three of the server's heartbeats. */
  readonly silenceMs?: number | undefined;
  /** Milliseconds within which a connection has to say its first word; then the next transport is tried. Default 5,000. */
  readonly firstWordMs?: number | undefined;
  /** Milliseconds between two looks into the log where no stream gets through. Default 2,000. */
  readonly pollMs?: number | undefined;
  /** Source of randomness in [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export interface Subscription {
  /** Ends it; no callback is called after the state `closed`. Any number of times. */
  close(): void;
  /** Where it is; empty before the server has said. */
  readonly cursor: string;
}

/** What the leading tab says to the others. */
type Said = { readonly items: readonly Item[] } | { readonly at: string; readonly state: SubscriptionState };

/** Milliseconds between two writes of the cursor. */
const SAVE_MS = 1000;
const CURSOR = /^[\w.-]{1,64}$/;

/** Opens it and keeps it open until `close`. What is wrong comes as a state. @throws TypeError when `url` is none. */
export function subscribe<T = unknown>(options: SubscribeOptions<T>): Subscription {
  const { companyId, resume, share = true } = options;
  const types = options.types?.length ? [...options.types].sort() : undefined;
  const url = siblingUrl(options.url, "/").origin;
  const session = safeStorage(() => sessionStorage);
  // `false` has no methods, which is as good as a storage that throws.
  const kept = safeStorage(() => (resume ?? sessionStorage) as Storage);
  let cursor = options.after ?? "";
  let isClosed = false;
  let endReader = (): void => {};
  /** The cursor that came out of storage, and its name there. */
  let resumed = "";
  let keptAs = "";

  function deliver({ cursor: next, type, data, gap }: Item): void {
    if (isClosed) return;
    cursor = next;
    if (gap) tell(() => options.onGap?.(gap));
    if (type && !isClosed) tell(() => options.onEvent({ type, data: data as T, cursor, companyId }));
  }
  function setState(state: SubscriptionState): void {
    if (!isClosed) tell(() => options.onState?.(state));
  }
  function close(state: SubscriptionState): void {
    setState(state);
    isClosed = true;
    endReader();
  }

  function refused(state: Outcome & { readonly kind: "refused" }): void {
    if (state.status !== 400 || !cursor || cursor !== resumed) {
      close(state);
      return;
    }
    // Storage held something else: what has happened since is not known.
    endReader();
    kept.set(keptAs, undefined);
    tell(() => options.onGap?.({ reason: "reset", requested: cursor, resumedAt: "" }));
    cursor = "";
    start();
  }

  function start(): void {
    endReader = asReader(
      {
        getToken: options.getToken,
        parts: [url, companyId, types ?? null],
        onWaiting: (untilMs) => setState({ kind: "waiting", reason: "no token could be had", untilMs }),
      },
      read,
    );
  }

  function read(name: string | undefined, getToken: GetToken | undefined): () => void {
    const request = { url, companyId, types, getToken };
    const stopSaving = name === undefined ? () => {} : keepCursor(name);
    const stop = share && name !== undefined && canShare() ? openShared(name) : open(deliver, setState);
    return () => {
      stop();
      stopSaving();
    };

    function open(onItem: (item: Item) => void, onState: (state: SubscriptionState) => void): () => void {
      const updates = openUpdates({
        ...options,
        ...request,
        after: cursor,
        storage: session,
        onItem,
        onState: (state) => (state.kind === "refused" ? refused(state) : onState(state)),
      });
      return updates.close;
    }

    function openShared(name: string): () => void {
      let state: SubscriptionState = { kind: "connecting", resumeAfter: cursor };
      let pending: Item[] = [];
      let isReady = false;
      let follower = follow();

      function follow(): Follower {
        isReady = false;
        return createFollower({
          request,
          cursor: () => cursor,
          deliver,
          onReady() {
            isReady = true;
            show();
          },
          onRefused: refused,
        });
      }
      /** What the leader says of its connection; not that it is live before this tab has what was before. */
      function show(): void {
        if (state.kind !== "live") setState(state);
        else if (isReady) setState({ ...state, shared: true });
      }
      const position = (): Said => ({ at: cursor, state });
      function flush(): void {
        if (pending.length > 0) tabs.post({ items: pending });
        pending = [];
      }

      const tabs: Tabs<Said> = joinTabs(name, {
        lead() {
          follower.stop();
          const close = open(
            (item) => {
              if (pending.push(item) === 1) queueMicrotask(flush);
              deliver(item);
            },
            (next) => {
              state = next;
              flush();
              tabs.post(position());
              setState(next);
            },
          );
          return () => {
            flush();
            close();
            follower = follow();
          };
        },
        welcome() {
          flush();
          return position();
        },
        onMessage(said) {
          if ("items" in said) return follower.relay(said.items);
          state = said.state;
          follower.at(said.at);
          show();
        },
      });
      show();
      return () => {
        tabs.close();
        follower.stop();
      };
    }
  }

  /** Takes up the cursor of before, and keeps it from now on. */
  function keepCursor(name: string): () => void {
    keptAs = name;
    const before = kept.get(name) ?? "";
    resumed = CURSOR.test(before) ? before : "";
    cursor ||= resumed;
    let saved = before;
    const save = (): void => {
      if (cursor === saved) return;
      saved = cursor;
      kept.set(name, cursor);
    };
    const timer = setInterval(save, SAVE_MS);
    const stopPage = listen([globalThis.window, "pagehide", save]);
    return () => {
      clearInterval(timer);
      stopPage();
      save();
    };
  }

  start();
  return {
    close: () => close({ kind: "closed" }),
    get cursor() {
      return cursor;
    },
  };
}
