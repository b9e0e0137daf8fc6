/** `millrace/react`: a company's events in a component. */
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import {
  type StreamGap,
  type SubscribeOptions,
  type SubscriptionEvent,
  type SubscriptionState,
  subscribe,
} from "./index.ts";

export interface EventStreamOptions<T = unknown>
  extends Omit<SubscribeOptions<T>, "url" | "onEvent" | "onGap" | "onState"> {
  /** The server's origin. Default: the page's own. */
  readonly url?: string | URL | undefined;
  /** False: no connection for now. Default true. */
  readonly enabled?: boolean | undefined;
  /** How many events are kept in `events`. Default 100. */
  readonly maxEvents?: number | undefined;
  /** For each event; a render may show several at once. */
  readonly onEvent?: ((event: SubscriptionEvent<T>) => void) | undefined;
  readonly onGap?: ((gap: StreamGap) => void) | undefined;
  readonly onState?: ((state: SubscriptionState) => void) | undefined;
}

/** Does not change; another one is made when something happens. */
export interface EventStream<T = unknown> {
  /** Undefined before the first. */
  readonly lastEvent: SubscriptionEvent<T> | undefined;
  /** The newest `maxEvents`, oldest first. */
  readonly events: readonly SubscriptionEvent<T>[];
  readonly connected: boolean;
  readonly state: SubscriptionState;
  /** The last gap, if there was one. */
  readonly gap: StreamGap | undefined;
  /** Why the server refused for good. */
  readonly error: string | undefined;
}

/** On a server, and before the page is alive. */
const NOTHING: EventStream<never> = {
  lastEvent: undefined,
  events: [],
  connected: false,
  state: { kind: "connecting", resumeAfter: "" },
  gap: undefined,
  error: undefined,
};

/**
 * Subscribes while the component is there. Another `url`, `companyId`, `types`, `after`, `share`, `resume` or `enabled` begins anew, and a `getToken` where there
 * was none; other options, new functions among them, are taken up without. On a server it gives what is not connected yet.
 */
export function useEventStream<T = unknown>(options: EventStreamOptions<T>): EventStream<T> {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { url = "", companyId, types, after, share, resume, enabled = true } = options;
  const key = JSON.stringify([String(url), companyId, types, after, share, enabled, !options.getToken]);
  // The key says what matters: arrays and URLs are made anew at each render.
  const store = useMemo(() => createStore(latest, enabled), [key, resume]);
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => NOTHING);
}

function createStore<T>(latest: { readonly current: EventStreamOptions<T> }, isEnabled: boolean) {
  let snapshot: EventStream<T> = isEnabled ? NOTHING : { ...NOTHING, state: { kind: "closed" } };
  return {
    getSnapshot: () => snapshot,
    subscribe(onChange: () => void): () => void {
      if (!isEnabled) return () => {};
      let isOver = false;
      const change = (changed: Partial<EventStream<T>>): void => {
        snapshot = { ...snapshot, ...changed };
        if (!isOver) onChange();
      };
      const { current } = latest;
      const subscription = subscribe<T>({
        ...current,
        url: current.url ?? location.origin,
        getToken: current.getToken && ((why) => latest.current.getToken?.(why)),
        onEvent(event) {
          const { maxEvents = 100 } = latest.current;
          change({ lastEvent: event, events: [...snapshot.events, event].slice(-Math.max(maxEvents, 1)) });
          latest.current.onEvent?.(event);
        },
        onGap(gap) {
          change({ gap });
          latest.current.onGap?.(gap);
        },
        onState(state) {
          change({
            state,
            connected: state.kind === "live",
            error: state.kind === "refused" ? state.reason : undefined,
          });
          latest.current.onState?.(state);
        },
      });
      return () => {
        isOver = true;
        subscription.close();
        // Where the component comes back (StrictMode does so at once), that is where it begins.
        change({ state: NOTHING.state, connected: false });
      };
    },
  };
}
