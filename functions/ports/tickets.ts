/**
 * Tickets: what a browser redeems once for its token (core/ticket.ts makes and opens them). Kept for their life alone, over all instances.
 *
 * - **Single use**: of any number of takes, at the same time too, exactly one gets it.
 * - **Secret-free**: the store has neither the ticket nor the token, only the id made of the one and what the other is sealed in.
 * - **Errors**: `unavailable` when the store does not answer.
 *
 * Checked by `describeTickets` (test/contracts/tickets.ts) on every adapter.
 */
export interface Tickets {
  /** Keeps it for `ttlMs` milliseconds. */
  put(id: string, sealed: string, ttlMs: number): Promise<void>;
  /** Takes it away; undefined: there is none of that id, any more or yet. */
  take(id: string): Promise<string | undefined>;
}
