/** Authenticator of AUTH_MODE=none: whoever can reach the port may read everything, which is why settings allow it on loopback only. */
import type { Authenticator, Principal } from "../ports/authenticator.ts";

const ANYONE: Principal = {
  mayRead: () => true,
  companies: undefined,
  roles: ["ops"],
  expiresAtMs: undefined,
};

/** Lets everyone in as `ops`, for good. */
export function createNoAuthenticator(): Authenticator {
  return { authenticate: async () => ANYONE };
}
