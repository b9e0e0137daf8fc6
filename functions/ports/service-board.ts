/**
 * ServiceBoard: how each of the operator's services is, as it last said of itself.
 *
 * - **First** all that is known, then each service that changes. A service is known by its newest status in the log of OPERATIONS_COMPANY,
 *   of whatever age, as far as the log is kept and not longer than the board reads.
 * - **Silent**: one that has not said anything for three of its intervals is `stopped` and `silent`, until it says something again; one that says
 *   no interval never is, nor one that said itself that it stopped.
 * - **Bounded**: at most MAX_SERVICES; of more the one unheard of for the longest makes room, which nobody is told.
 * - **Back-pressure**: a watcher that is full is given nothing; when it has drained, the newest of each service that changed meanwhile.
 * - **Idle costs nothing**: without a watcher there is no timer, no tail and no command. While the store is away watchers wait.
 * - **Lifetime**: as of counters.
 */
import type { Membership, Refusal } from "./hub.ts";
import type { MessageSink } from "./message-sink.ts";

/** What a watcher is given at once: it is one write, shared by all who are given the same. */
export interface BoardMessage {
  /** `snapshot`: `{"services":[…],"sms","timestamp"}`; `service_status`: one service. `data` is JSON on one line. */
  readonly events: readonly { readonly name: "snapshot" | "service_status"; readonly data: string }[];
}

export interface ServiceBoard {
  /** Why nobody may watch now; undefined: one may. `maxConnections`: default what the board was made with. */
  refusal(maxConnections?: number): Refusal | undefined;
  /** Sends a snapshot as soon as there is one. Asks nobody: see `refusal`. */
  watch(sink: MessageSink<BoardMessage>): Membership;
  stats(): { readonly watchers: number };
  /** Refuses new watchers and sends the present ones away, spread over the period. Resolves when all are gone. */
  drain(periodMs: number): Promise<void>;
}
