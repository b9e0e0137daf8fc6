/** The files by which a NATS server knows us and we know it. A problem names the file, never what is in it. */
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
} from "@nats-io/transport-node";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { quote } from "../functions/core/ids.ts";

/** Paths. At most one of `credentials` and `nkey`. */
export interface NatsFiles {
  /** A `.creds` file: a user's JWT and the seed of its key. */
  readonly credentials?: string | undefined;
  /** The seed of a user's key, alone in its file. */
  readonly nkey?: string | undefined;
  readonly tls?: NatsTlsFiles | undefined;
}

/** PEM files. */
export interface NatsTlsFiles {
  /** Certificates of the authorities that may have signed the server's; without it those Node trusts. */
  readonly ca?: string | undefined;
  /** Our own certificate, where the server asks for one. */
  readonly cert?: string | undefined;
  /** Its private key. */
  readonly key?: string | undefined;
}

/** The seed of a user: base32, `SU` and 56 more (NATS, nkeys). */
const SEED = /\bSU[A-Z2-7]{56}\b/;

/** @throws MillraceError `invalid-settings` naming the file that cannot be read or is not what it should be. */
export function readNatsFiles({ credentials, nkey, tls }: NatsFiles): {
  readonly authenticator: Authenticator | undefined;
  readonly tls: TlsOptions | undefined;
} {
  return {
    authenticator:
      credentials !== undefined ? ofCredentials(credentials) : nkey !== undefined ? ofSeed(nkey) : undefined,
    tls: tls && {
      ...(tls.ca === undefined ? {} : { ca: readPem(tls.ca, "CERTIFICATE") }),
      ...(tls.cert === undefined ? {} : { cert: readPem(tls.cert, "CERTIFICATE") }),
      ...(tls.key === undefined ? {} : { key: readPem(tls.key, "PRIVATE KEY") }),
    },
  };
}

function ofCredentials(path: string): Authenticator {
  const what = "NATS credentials";
  const text = read(what, path);
  const authenticator = credsAuthenticator(new TextEncoder().encode(text));
  return checked(authenticator, what, path, "a .creds file with a user's JWT and its seed");
}

function ofSeed(path: string): Authenticator {
  const what = "NATS nkey";
  const expected = "the seed of a user (nk -gen user)";
  const [seed] = SEED.exec(read(what, path)) ?? [];
  if (seed === undefined) throw invalid(what, path, "no seed in it", expected);
  return checked(nkeyAuthenticator(new TextEncoder().encode(seed)), what, path, expected);
}

/** Tried once here: the client library would say what is wrong in words of its own, and only when it has connected. */
function checked(authenticator: Authenticator, what: string, path: string, expected: string): Authenticator {
  try {
    authenticator("nonce");
  } catch {
    throw invalid(what, path, "not valid", expected);
  }
  return authenticator;
}

function readPem(path: string, label: string): string {
  const text = read("TLS file", path);
  if (text.includes(`${label}-----`)) return text;
  throw invalid("TLS file", path, "not what it should be", `PEM with a ${label}`);
}

function read(what: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw invalid(what, path, describeError(cause), "a readable file");
  }
}

function invalid(what: string, path: string, was: string, expected: string): MillraceError {
  return new MillraceError(
    "invalid-settings",
    `Cannot use ${what} ${quote(path)}: ${was}, expected ${expected}`,
  );
}
