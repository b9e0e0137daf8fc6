/** Gate over an authenticator, the rules about access and the tickets. */
import { bearerToken, refuseJwtIn, unauthorized } from "../core/bearer.ts";
import { formatCookie, readCookie } from "../core/cookie.ts";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { mayRead as isOfIts, type Principal } from "../core/principal.ts";
import { mayBeTicket, openToken, TICKET_MS, ticketId } from "../core/ticket.ts";
import type { Authenticator } from "../ports/authenticator.ts";
import type { Gate } from "../ports/gate.ts";
import type { Tickets } from "../ports/tickets.ts";
import type { RulesView } from "./rule-set.ts";

export interface GateOptions {
  readonly authenticator: Authenticator;
  readonly copy: RulesView;
  readonly tickets: Pick<Tickets, "take" | "put">;
}

/** Without tickets and rules it costs the store nothing; a ticket that may be there costs one command. */
export function createGate({ authenticator, copy, tickets }: GateOptions): Gate {
  const verify = async (token: string | undefined): Promise<Principal> => {
    const principal = await authenticator.authenticate(token);
    await copy.ready();
    if (copy.isRevoked(principal)) throw unauthorized();
    return principal;
  };

  /** Undefined: there is none of this name, any more or yet. */
  const redeem = async (url: string, ticket: string) => {
    if (!mayBeTicket(ticket)) return undefined;
    const id = await ticketId(ticket);
    const sealed = await tickets.take(id);
    if (sealed === undefined) return undefined;
    const token = await openToken(ticket, sealed);
    if (token === undefined) return undefined;
    // Empty where nobody is asked for a token (AUTH_MODE=none).
    if (token === "") return { principal: await verify(undefined), headers: {} };
    try {
      const principal = await verify(token);
      return { principal, headers: { "set-cookie": formatCookie(url, token, principal.expiresAtMs) } };
    } catch (error) {
      // The client is told to come back, and has nothing else to come with.
      if (error instanceof MillraceError && error.retryable) await tickets.put(id, sealed, TICKET_MS);
      throw error;
    }
  };

  return {
    async admit(request, way) {
      const query = new URL(request.url).searchParams;
      refuseJwtIn(query);
      const bearer = bearerToken(request.headers);
      if (bearer !== undefined || way === "bearer") return { principal: await verify(bearer), headers: {} };
      const given = query.getAll("ticket");
      if (way === "ticket" && given.length > 0) {
        if (given.length > 1) {
          throw new MillraceError(
            "invalid-input",
            `Cannot read ticket: given ${given.length} times, expected it once`,
          );
        }
        const admitted = await redeem(request.url, given[0]!);
        if (admitted !== undefined) return admitted;
      }
      // What another site's page makes a browser send must change nothing: a cookie counts where nothing is changed.
      const isSafe = request.method === "GET" || request.method === "HEAD";
      const cookie = isSafe ? readCookie(request.url, request.headers.get("cookie")) : undefined;
      return { principal: await verify(cookie), headers: {} };
    },
    mayRead: (principal, company) => isOfIts(principal, company) && !copy.isRevokedFor(principal, company),
    permit(principal, company) {
      if (!isOfIts(principal, company)) {
        throw new MillraceError("forbidden", "You can only stream events for your own company");
      }
      if (copy.isRevokedFor(principal, company)) {
        throw new MillraceError(
          "forbidden",
          `Cannot show events of ${quote(company)}: access to it was revoked, expected a token issued since`,
        );
      }
      return copy.features(company);
    },
  };
}
