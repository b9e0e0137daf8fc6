/** Notices that the server's log does not answer, for streams that may be quiet for as long as they like: nothing can come over them meanwhile. */
import { hideNotice, showNotice } from "./notices.ts";
import { openPoll } from "./poll.ts";
import type { Silence } from "./silence.ts";

/** Milliseconds between two questions; a script call or two of the store each, while somebody looks. */
const ASK_MS = 5_000;

/** Of the streams that are live: one question for all of them. */
const listeners = new Set<(reason: string | undefined) => void>();
let poll: ReturnType<typeof openPoll> | undefined;
let reason: string | undefined;

/** For one stream, asked from its first `heard` on. `onChange` is told why nothing can come, and undefined when something can again. */
export function watchLog(onChange: (reason: string | undefined) => void): Silence {
  return {
    heard() {
      listeners.add(onChange);
      tell(undefined);
      poll ??= openPoll("/stream/health", {
        everyMs: ASK_MS,
        onAnswer: () => tell(undefined),
        // Whatever else goes wrong, the streams say themselves.
        onState: (_state, status) => status === 503 && tell("the log does not answer the server"),
      });
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

function tell(next: string | undefined): void {
  if (next === reason) return;
  reason = next;
  if (reason === undefined) hideNotice("log");
  else showNotice("log", `What is shown is old: ${reason}. It goes on by itself.`);
  for (const listener of listeners) listener(reason);
}
