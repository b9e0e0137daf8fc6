/** Who may read, by the settings. */
import { createJwtAuthenticator } from "../../adapters/authenticator-jwt.ts";
import { createNoAuthenticator } from "../../adapters/authenticator-none.ts";
import { MillraceError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings.ts";
import type { Authenticator } from "../../ports/authenticator.ts";

type AuthSettings = Pick<Settings, "AUTH_MODE" | "JWT_SECRET" | "JWKS_URL" | "JWT_ISSUER" | "JWT_AUDIENCE">;

/** AUTH_MODE unset is jwt. @throws MillraceError `invalid-settings` when tokens are asked for and there is no key to check them by. */
export function openAuthenticator(settings: AuthSettings): Authenticator {
  if (settings.AUTH_MODE === "none") return createNoAuthenticator();
  return createJwtAuthenticator({
    secret: settings.JWT_SECRET,
    jwksUrl: settings.JWKS_URL,
    issuer: settings.JWT_ISSUER,
    audience: settings.JWT_AUDIENCE,
  });
}

/**
 * For a server that is not `millrace up`: it may be behind a proxy, so that a loopback HOST says nothing of who reaches it.
 * @throws MillraceError `invalid-settings` when it would let everyone in, or could let nobody in.
 */
export function requireAuthentication(settings: AuthSettings): void {
  if (settings.AUTH_MODE === "none") {
    throw new MillraceError(
      "invalid-settings",
      "Cannot serve with AUTH_MODE none: it is for npm start (millrace up) on a loopback host, expected jwt with JWT_SECRET or JWKS_URL",
    );
  }
  openAuthenticator(settings);
}
