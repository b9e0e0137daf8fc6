/**
 * Gate: who asks, and what for, at the front of every route that shows events or changes anything. Fails closed.
 *
 * - A JWT in the URL is refused before anything else looks at it: URLs end up in logs, histories and Referer headers (RFC 6750 section 5.3).
 * - A token is in the header `Authorization: Bearer`; else, where the way allows it, behind a single-use ticket in the URL; else in the cookie.
 * - A token that was revoked after it was issued is as one that was forged.
 */
import type { CompanyId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";
import type { CompanyFeatures } from "./access-rules.ts";

/** `bearer`: the header alone (what changes something); `cookie`: or the cookie; `ticket`: or a ticket (streams, whose clients cannot set a header). */
export type Way = "bearer" | "cookie" | "ticket";

export interface Admitted {
  readonly principal: Principal;
  /** For the answer, whatever it is: the cookie that a redeemed ticket leaves behind. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Gate {
  /** @throws MillraceError `invalid-input` for a JWT in the URL, `unauthorized`, `unavailable` when it cannot be told at the moment. */
  admit(request: Request, way: Way): Promise<Admitted>;
  /** Whether it may read the company's events: one of its own, and not revoked for it. For an admitted principal. */
  mayRead(principal: Principal, company: CompanyId): boolean;
  /** What the company may use. For an admitted principal. @throws MillraceError `forbidden` unless it may read the company's events. */
  permit(principal: Principal, company: CompanyId): CompanyFeatures;
}
