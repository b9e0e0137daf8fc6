/** Authenticator of AUTH_MODE=none: whoever can reach the port may read everything, which is why settings allow it on loopback only. */
import type { Authenticator } from "../ports/authenticator.ts";

/** Lets everyone in as `ops`, for good: nobody has a token that could be revoked, so each is as good as new. */
export function createNoAuthenticator(): Authenticator {
  return {
    authenticate: async () => ({
      subject: undefined,
      companies: "all",
      roles: ["ops"],
      issuedAtMs: Date.now(),
      expiresAtMs: undefined,
    }),
  };
}
