/** Notices that the server's log does not answer, for streams that may be quiet for as long as they like: nothing can come over them meanwhile. */
import { hideNotice, showNotice } from "./notices.ts";
import { openPoll } from "./poll.ts";
import type { Silence } from "./silence.ts";

/** Milliseconds between two questions; a script call or two of the store each, while somebody looks. */
const ASK_MS = 10_000;
/** Milliseconds between two questions out of turn. */
const ASK_AGAIN_MS = 1_000;

/** Of the streams that are live: one question for all of them. */
const listeners = new Set<(reason: string | undefined) => void>();
let poll: ReturnType<typeof openPoll> | undefined;
let askedMs = 0;
let reason: string | undefined;

/** For one stream, asked from its first `heard` on. `onChange` is told why nothing can come, and undefined when something can again. */
export function watchLog(onChange: (reason: string | undefined) => void): Silence {
  return {
    heard() {
      if (!listeners.has(onChange)) {
        listeners.add(onChange);
        onChange(reason);
      }
      // That something came is no proof: a stream that begins is given what the server remembers. The next question may be 20 s away.
      if (poll === undefined || (reason !== undefined && Date.now() - askedMs > ASK_AGAIN_MS)) ask();
    },
    stop() {
      if (!listeners.delete(onChange)) return;
      onChange(undefined);
      if (listeners.size > 0) return;
      poll?.stop();
      poll = undefined;
      tell(undefined);
    },
  };
}

function ask(): void {
  askedMs = Date.now();
  poll?.stop();
  poll = openPoll("/stream/health", {
    everyMs: ASK_MS,
    onAnswer: () => tell(undefined),
    onState(state, answer) {
      if (answer?.status === 503 && answer.text.includes('"degraded"'))
        tell("the log does not answer the server");
      // It is asked no more; whatever else goes wrong, the streams say themselves.
      else if (state.kind === "refused") tell(undefined);
    },
  });
}

function tell(next: string | undefined): void {
  if (next === reason) return;
  reason = next;
  if (reason === undefined) hideNotice("log");
  else showNotice("log", `What is shown is old: ${reason}. It goes on by itself.`);
  for (const listener of listeners) listener(reason);
}
