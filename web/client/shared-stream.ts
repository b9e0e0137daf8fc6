/** A stream of snapshots (counters, the feed, services), one connection for all tabs. A tab that joins is given what is newest. */
import { asReader } from "./identity.ts";
import { type KeptOpen, keepOpen, type StreamState, tell } from "./keep-open.ts";
import { openStream, refusalOf, type Stream, type StreamMessage, type StreamOptions } from "./stream.ts";
import { canShare, joinTabs, type Tabs } from "./tabs.ts";
import { fetchAs } from "./token.ts";

export interface SharedStreamOptions
  extends Omit<StreamOptions, "method" | "body" | "headers" | "lastEventId"> {
  /**
   * What a tab that joins is told: makes it of what was kept before and the newest message. Default: the newest message alone. Where a
   * snapshot is followed by changes, it keeps them behind it.
   */
  keep?: ((kept: readonly StreamMessage[], message: StreamMessage) => readonly StreamMessage[]) | undefined;
}

/** What the leading tab says: a message, or where everything stands. `lead` and `count` tell whether a tab has heard it all. */
interface Said {
  readonly lead: string;
  readonly count: number;
  readonly state: StreamState;
  readonly message?: StreamMessage;
  readonly kept?: readonly StreamMessage[];
}

/**
 * As `openStream`, but with one connection for all tabs of this origin that read this URL for the same reader. Only for streams without cursors:
 * messages may be missed while another tab takes over, and its first snapshot makes up for them. Where tabs cannot find each other, each
 * has a connection of its own.
 */
export function openSharedStream(url: string | URL, options: SharedStreamOptions): Pick<Stream, "close"> {
  const { keep = (_, message) => [message], silenceMs, random } = options;
  const address = new URL(url, globalThis.location?.href);
  let isClosed = false;
  let endReader = (): void => {};

  function setState(state: StreamState): void {
    if (isClosed) return;
    tell(() => options.onState(state));
    if (state.kind !== "refused" && state.kind !== "closed") return;
    isClosed = true;
    endReader();
  }
  const hear = (message: StreamMessage): void => {
    if (!isClosed) tell(() => options.onMessage(message));
  };

  endReader = asReader(
    {
      getToken: options.getToken,
      parts: [address.href],
      onWaiting: (untilMs) => setState({ kind: "waiting", reason: "no token could be had", untilMs }),
    },
    (name, getToken) => {
      const open = (onMessage: (message: StreamMessage) => void, onState: (state: StreamState) => void) =>
        openStream(address, {
          ...{ getToken, silenceMs, random, onMessage },
          onState: (state) => {
            if (state.kind !== "closed") onState(state);
          },
        });
      if (name === undefined || !canShare()) {
        const stream = open(hear, setState);
        return () => stream.close();
      }

      let said: Said = { lead: "", count: 0, state: { kind: "connecting", resumeAfter: "" } };
      let kept: readonly StreamMessage[] = [];
      let isAdmitted = false;

      /** This reader's own word with the server, whatever another tab is shown. */
      const admit = (): KeptOpen => {
        const asked = keepOpen(
          async (attempt) => {
            const { signal } = attempt;
            const response = await fetchAs(getToken, address, {
              headers: { accept: "text/event-stream" },
              signal,
            });
            const refused = await refusalOf(response, attempt);
            if (!refused) {
              isAdmitted = true;
              queueMicrotask(() => asked.close());
              show();
            }
            return refused ?? { kind: "ended", reason: "" };
          },
          {
            ...{ silenceMs, random, resumeAfter: () => "" },
            onState: (state) => {
              if (state.kind === "refused") setState(state);
            },
          },
        );
        return asked;
      };
      let admission = admit();
      function show(): void {
        if (!isAdmitted) return;
        setState(said.state);
        kept.forEach(hear);
      }

      const tabs: Tabs<Said> = joinTabs(name, {
        lead() {
          admission.close();
          kept = [];
          const lead = crypto.randomUUID();
          said = { ...said, lead, count: 0 };
          const stream = open(
            (message) => {
              kept = keep(kept, message);
              said = { ...said, count: said.count + 1 };
              tabs.post({ ...said, message });
              hear(message);
            },
            (state) => {
              isAdmitted ||= state.kind === "live";
              said = { ...said, state };
              tabs.post(said);
              setState(state);
            },
          );
          return () => {
            stream.close();
            // Another tab leads from now on, and the server has not said yet that this one may listen.
            if (!isAdmitted) admission = admit();
          };
        },
        welcome: () => ({ ...said, kept }),
        onMessage({ message, kept: all, ...next }) {
          const before = said;
          said = next;
          const isNext = next.lead === before.lead;
          if (message) {
            kept = keep(kept, message);
            if (isAdmitted) hear(message);
          } else if (all && !(isNext && next.count === before.count)) {
            kept = all;
            return show();
          }
          if (isAdmitted && next.state !== before.state) setState(next.state);
        },
      });
      setState(said.state);
      return () => {
        tabs.close();
        admission.close();
      };
    },
  );

  return { close: () => setState({ kind: "closed" }) };
}
