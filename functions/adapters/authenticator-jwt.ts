/**
 * Authenticator on JSON Web Tokens (RFC 7519, best practice of RFC 8725). The algorithm is ours to choose, by the kind of key, never
 * the token's: no `none`, and no public key taken for a secret.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import * as z from "zod";
import { LONGEST_TOKEN_MS } from "../core/access-rule.ts";
import { unauthorized } from "../core/bearer.ts";
import { describeError, MillraceError } from "../core/errors.ts";
import { type CompanyId, isCompanyId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";
import type { Authenticator } from "../ports/authenticator.ts";

export interface JwtOptions {
  /** Key of HS256. Exactly one of this and `jwksUrl`. */
  readonly secret?: string | undefined;
  /** Where the public keys are (RFC 7517), for RS256, ES256 and EdDSA. A token must name its key where several would fit. */
  readonly jwksUrl?: string | undefined;
  /** Expected `iss`; undefined: not checked. */
  readonly issuer?: string | undefined;
  /** Expected `aud`; undefined: not checked. */
  readonly audience?: string | undefined;
  /**
   * Milliseconds between two fetches of the keys because of a token with an unknown one: a rotation is seen that late, and forged
   * tokens cause no more load than that. Default 30,000.
   */
  readonly jwksCooldownMs?: number;
}

/** Seconds two machines that keep their clocks by NTP may differ: a token fresh from its issuer is not yet refused. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Milliseconds to wait for the keys: a stream's client waits that long. */
const JWKS_TIMEOUT_MS = 3_000;
/** Characters of a `sub` at most: a revocation keeps it in the store for a year. */
const MAX_SUBJECT_CHARS = 256;
/** What a token may be to blame for; anything else is wrong with the keys. */
const TOKEN_FAULTS = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];

const company = z.custom<CompanyId>(isCompanyId);
const CLAIMS = z.object({
  // That it has not passed is checked with the signature; here, that it is there.
  exp: z.number(),
  iat: z.number().nonnegative().optional(),
  sub: z.string().min(1).max(MAX_SUBJECT_CHARS).optional(),
  companyId: company.optional(),
  companies: z.array(company).optional(),
  roles: z.array(z.string()).default([]),
});

/**
 * A token needs `exp`, and names its companies by `companyId` or `companies`; only one with the role
 * `ops` may name none, and then it may read no company's events. A claim of another form makes the token worthless, and so does an `iat`
 * to come: such a token would outlive its revocation. So would one that is good for longer than LONGEST_TOKEN_MS from its `iat`, or from now on
 * where it has none.
 * @throws MillraceError `invalid-settings` unless exactly one source of keys is given.
 */
export function createJwtAuthenticator(options: JwtOptions): Authenticator {
  const { secret, jwksUrl, issuer, audience, jwksCooldownMs = 30_000 } = options;
  if ((secret === undefined) === (jwksUrl === undefined)) {
    throw new MillraceError(
      "invalid-settings",
      `Cannot check tokens: ${secret === undefined ? "neither" : "both"} of JWT_SECRET and JWKS_URL set, expected one of them`,
    );
  }
  const getKey = secret === undefined ? remoteKeys(jwksUrl!, jwksCooldownMs) : secretKey(secret);
  const rules = {
    algorithms: secret === undefined ? ["RS256", "ES256", "EdDSA"] : ["HS256"],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  };
  return {
    async authenticate(token) {
      if (token === undefined) throw unauthorized();
      try {
        const { payload } = await jwtVerify(token, getKey, rules);
        return principalOf(CLAIMS.parse(payload));
      } catch (error) {
        throw error instanceof MillraceError ? error : unauthorized(error);
      }
    },
  };
}

function principalOf({ exp, iat, sub, companyId, companies, roles }: z.output<typeof CLAIMS>): Principal {
  const named = new Set(companies);
  if (companyId !== undefined) named.add(companyId);
  if (named.size === 0 && !roles.includes("ops")) throw unauthorized();
  const nowMs = Date.now();
  if ((iat ?? 0) * 1000 > nowMs + CLOCK_TOLERANCE_SECONDS * 1000) throw unauthorized();
  if (exp * 1000 - (iat === undefined ? nowMs : iat * 1000) > LONGEST_TOKEN_MS) throw unauthorized();
  return {
    subject: sub,
    companies: [...named],
    roles,
    // By an issuer whose clock is ahead, as of now: what is open under it is reached by whatever is decided from now on.
    issuedAtMs: Math.min((iat ?? 0) * 1000, nowMs),
    // With the tolerance, or a token let in by it would be sent away at once, to come back with it.
    expiresAtMs: (exp + CLOCK_TOLERANCE_SECONDS) * 1000,
  };
}

/** Imported once, when it is first needed. */
function secretKey(secret: string): JWTVerifyGetKey {
  let key: Promise<CryptoKey> | undefined;
  return () => {
    key ??= crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    return key;
  };
}

function remoteKeys(jwksUrl: string, cooldownDuration: number): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS, cooldownDuration });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (cause) {
      if (TOKEN_FAULTS.some((fault) => cause instanceof fault)) throw cause;
      throw new MillraceError(
        "unavailable",
        `Cannot fetch the keys of JWKS_URL: ${describeError(cause)}, expected a JSON Web Key Set`,
        { cause },
      );
    }
  };
}
