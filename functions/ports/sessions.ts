/**
 * Sessions: the open connections of an instance, each with the principal it was let in for. Ends those whose token has ended or was revoked, or
 * whose company may stream no more; asks for a fresh token before, and hears of one through AccessRules. One timer an instance, and none while no
 * connection has a deadline.
 */
import type { Principal } from "../core/principal.ts";
import type { Scope } from "./counters.ts";
import type { Membership } from "./hub.ts";

export interface Session {
  readonly principal: Principal;
  /** Whose events it is sent; undefined: numbers over all companies. */
  readonly scope: Scope;
  readonly membership: Pick<Membership, "notify" | "end">;
}

export interface Sessions {
  /** The function returned ends it, when the client is gone: any number of times. */
  enter(session: Session): () => void;
}
