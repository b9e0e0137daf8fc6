/**
 * One tab leads, the others listen. Who holds the Web Lock of that name leads; a BroadcastChannel carries what it says. Both are of one
 * origin and one browser profile. A leader that is closed gives its lock to the next; one that answers nothing any more loses it.
 */
import { listen } from "./listen.ts";

export interface TabsOptions<M> {
  /** This tab leads from now on; what it returns is called when it does so no longer. */
  lead(): () => void;
  /** Of the leader: what a tab that asks is told. Called when everything before it has been posted. */
  welcome(): M;
  /** The leader said something. Never called while this tab leads. */
  onMessage(message: M): void;
}

export interface Tabs<M> {
  /** To the other tabs, when this one leads. */
  post(message: M): void;
  close(): void;
}

/** `to` is the tab that asked; absent: all. */
type Envelope<M> = { readonly ask: string } | { readonly to?: string; readonly say: M };

/** Milliseconds of a leader's silence after which it is asked whether it is there. */
const ASK_MS = 15_000;
/** Milliseconds within which a leader answers; then its lock is taken, up to as much later again, so that not all take it together. */
const ANSWER_MS = 4000;

/** Whether tabs can find each other here: Web Locks are there over HTTPS and on localhost alone, and a frame may be denied channels. */
export function canShare(): boolean {
  try {
    new BroadcastChannel("").close();
    return !!navigator.locks;
  } catch {
    return false;
  }
}

export function joinTabs<M>(name: string, on: TabsOptions<M>): Tabs<M> {
  const self = crypto.randomUUID();
  let channel: BroadcastChannel | undefined;
  let isLeading = false;
  /** Ends the wait for the lock, or gives it back. */
  let term = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const send = (envelope: Envelope<M>): void => channel?.postMessage(envelope);

  /** Waits for the lock, or takes it; again whenever another tab takes it away. */
  async function campaign(steal: boolean): Promise<void> {
    term.abort();
    const own = new AbortController();
    const { signal } = own;
    term = own;
    const lead = (resolve: () => void): void => {
      clearTimeout(timer);
      isLeading = true;
      const stop = on.lead();
      const end = (): void => {
        isLeading = false;
        stop();
        resolve();
      };
      // Called off by what `lead` called.
      if (signal.aborted) end();
      else signal.addEventListener("abort", end);
      send({ say: on.welcome() });
    };
    try {
      const asked = steal ? { steal } : { signal };
      await navigator.locks.request(name, asked, () =>
        signal.aborted ? undefined : new Promise<void>(lead),
      );
    } catch (error) {
      // Taken by another tab, or given up while waiting. Else this frame is denied locks (a sandbox, or no cookies), and each tab leads itself.
      if (!signal.aborted && (error as Error).name !== "AbortError") return lead(() => {});
    }
    if (signal.aborted) return;
    own.abort();
    ask();
    void campaign(false);
  }

  /** Asks after a while of silence whether somebody leads; who does not answer has led. */
  function expectWord(): void {
    clearTimeout(timer);
    timer = setTimeout(ask, ASK_MS);
  }
  function ask(): void {
    if (!channel || isLeading) return;
    clearTimeout(timer);
    send({ ask: self });
    timer = setTimeout(() => void campaign(true), ANSWER_MS * (1 + Math.random()));
  }

  function join(): void {
    if (channel) return;
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }: MessageEvent<Envelope<M>>) => {
      if ("ask" in data) {
        if (isLeading) send({ to: data.ask, say: on.welcome() });
      } else if (!isLeading && (data.to ?? self) === self) {
        expectWord();
        on.onMessage(data.say);
      }
    };
    void campaign(false);
    ask();
  }
  function part(): void {
    if (!channel) return;
    clearTimeout(timer);
    term.abort();
    channel.close();
    channel = undefined;
  }

  // A page that is kept or frozen leads nobody and waits for no lock, or the others would wait for it.
  const stopPage = listen(
    [globalThis.window, "pagehide", part],
    [globalThis.window, "pageshow", join],
    [globalThis.document, "freeze", part],
    [globalThis.document, "resume", join],
  );
  join();

  return {
    post: (say) => send({ say }),
    close() {
      stopPage();
      part();
    },
  };
}
