/** Who is let in: tokens, the keys they are checked by, the token of the metrics API. */
import { isLoopback, type Settings } from "../../functions/core/settings.ts";
import { several } from "./amounts.ts";
import type { Outcome, Probe } from "./examine.ts";

/** Bits an RSA key has at least (RFC 7518 section 3.3). */
const LEAST_RSA_BITS = 2048;
/** Characters a token has at least that nobody is to guess. */
const LEAST_TOKEN = 24;
/** What secrets are called in examples. */
const GUESSED = /secret|passw|change.?me|example|test|admin|millrace|1234|qwert|abcd/i;

export type AccessSettings = Pick<
  Settings,
  "AUTH_MODE" | "HOST" | "JWT_SECRET" | "JWKS_URL" | "JWT_ISSUER" | "JWT_AUDIENCE" | "AUTH_TOKEN"
>;

export function accessProbes(settings: AccessSettings): Probe[] {
  const { JWKS_URL } = settings;
  const next = "set JWT_SECRET or JWKS_URL";
  return [
    { what: "tokens", next, run: () => tokens(settings) },
    ...(JWKS_URL === undefined || settings.AUTH_MODE === "none" ? [] : [jwks(JWKS_URL)]),
    { what: "AUTH_TOKEN", next: "set AUTH_TOKEN", run: () => metricsToken(settings) },
  ];
}

export function tokens({ AUTH_MODE, HOST, ...settings }: AccessSettings): Outcome | [Outcome, ...Outcome[]] {
  const { JWT_SECRET, JWKS_URL, JWT_ISSUER, JWT_AUDIENCE } = settings;
  // On a public host it is refused with the settings.
  if (AUTH_MODE === "none")
    return { note: "AUTH_MODE none: whoever is on this machine reads everything; serve refuses it" };
  if (JWT_SECRET === undefined && JWKS_URL === undefined) {
    if (AUTH_MODE === undefined && isLoopback(HOST)) {
      return {
        note: "no JWT_SECRET and no JWKS_URL: npm start lets in whoever is on this machine, serve does not start. Make a secret: openssl rand -base64 48",
      };
    }
    return {
      fault: "neither JWT_SECRET nor JWKS_URL is set, and nobody could be let in",
      next: "set JWKS_URL of your issuer, or JWT_SECRET (openssl rand -base64 48)",
    };
  }
  const unchecked = Object.entries({ JWT_ISSUER, JWT_AUDIENCE }).flatMap(([name, value]) =>
    value === undefined ? [name] : [],
  );
  const checks =
    unchecked.length === 0 ? "issuer and audience are checked" : `${unchecked.join(" and ")} unset`;
  if (JWT_SECRET !== undefined) {
    const found = `HS256 with JWT_SECRET; ${checks}`;
    return isGuessable(JWT_SECRET)
      ? {
          note: `${found}. JWT_SECRET looks like one that can be guessed: make one with openssl rand -base64 48`,
        }
      : found;
  }
  return unchecked.length === 0
    ? `by the keys of JWKS_URL; ${checks}`
    : {
        note: `by the keys of JWKS_URL; ${checks}, so that tokens its issuer made for others are taken too: set ${unchecked.join(" and ")}`,
      };
}

/** By what people write: few different characters, words, one kind of characters alone. It is at least 32 characters long. */
export function isGuessable(secret: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(secret)).length;
  const isHex = /^[0-9a-f]+$/i.test(secret) || /^[0-9a-f-]{36}$/i.test(secret);
  const variety = new Set(secret).size;
  if (variety < 10) return true;
  return !isHex && (GUESSED.test(secret) || kinds < 3 || / \w+ \w+ /.test(secret));
}

function metricsToken({ AUTH_TOKEN, AUTH_MODE }: AccessSettings): Outcome {
  if (AUTH_TOKEN === undefined) {
    return AUTH_MODE === "none"
      ? "unset: the metrics API asks nobody, as does everything else"
      : {
          note: "unset: the metrics API (/api/v1/gpus) asks nobody and shows every company's GPUs. Make one: openssl rand -base64 33",
        };
  }
  return AUTH_TOKEN.length < LEAST_TOKEN
    ? { note: `${several(AUTH_TOKEN.length, "character")}: make a longer one with openssl rand -base64 33` }
    : "set: the metrics API wants it, or a token of a company";
}

interface Jwk {
  readonly kty?: unknown;
  readonly crv?: unknown;
  readonly n?: unknown;
  readonly alg?: unknown;
  readonly use?: unknown;
  readonly kid?: unknown;
  readonly d?: unknown;
}

function jwks(url: string): Probe {
  const next = "correct JWKS_URL: it is the jwks_uri of the issuer's /.well-known/openid-configuration";
  return {
    what: `JWKS_URL ${url}`,
    next,
    async run(signal) {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new Error(`answers ${response.status}, expected 200`);
      const { keys } = (await response.json()) as { keys?: unknown };
      if (!Array.isArray(keys) || keys.length === 0) throw new Error("no keys, expected a JSON Web Key Set");
      return judgeKeys(url, keys as Jwk[]);
    },
  };
}

/** The keys of a set, by what the server takes. */
export function judgeKeys(url: string, keys: readonly Jwk[]): Outcome | [Outcome, ...Outcome[]] {
  if (keys.some(({ d, kty }) => d !== undefined || kty === "oct")) {
    return {
      fault: "publishes a private or shared key, with which anybody can make tokens",
      next: "replace the keys at the issuer, and publish the public ones alone",
    };
  }
  const usable = keys.filter((key) => algorithmOf(key) !== undefined);
  const algorithms = [...new Set(usable.map(algorithmOf))].join(", ");
  if (usable.length === 0) {
    return {
      fault: `none of ${several(keys.length, "key")} can be used, expected one of RS256 (${LEAST_RSA_BITS} bits or more), ES256 or EdDSA`,
      next: "let the issuer sign with one of them",
    };
  }
  const notes: string[] = [];
  if (usable.length > 1 && usable.some(({ kid }) => kid === undefined))
    notes.push("keys without kid: a token that names none cannot be checked while several fit");
  const { protocol, hostname } = new URL(url);
  if (protocol === "http:" && !isLoopback(hostname))
    notes.push("http: whoever is on the way can put in keys of their own: use https");
  return [
    `${several(keys.length, "key")}, ${usable.length === keys.length ? "" : `${usable.length} usable, `}${algorithms}`,
    ...notes.map((note) => ({ note })),
  ];
}

/** Undefined: tokens by it are not taken. */
function algorithmOf({ kty, crv, n, alg, use }: Jwk): string | undefined {
  if (use !== undefined && use !== "sig") return undefined;
  const bits = typeof n === "string" ? Math.floor((n.length * 3) / 4) * 8 : 0;
  const is =
    kty === "RSA" && bits >= LEAST_RSA_BITS
      ? "RS256"
      : kty === "EC" && crv === "P-256"
        ? "ES256"
        : kty === "OKP" && crv === "Ed25519"
          ? "EdDSA"
          : undefined;
  return alg === undefined || alg === is || (alg === "Ed25519" && is === "EdDSA") ? is : undefined;
}
