/** `millrace token`: a development JWT, signed with the server's own secret. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { SignJWT } from "jose";
import { LONGEST_TOKEN_MS } from "../../functions/core/access-rule.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { readSettingsAndFiles } from "../../functions/runtimes/node/secret-files.ts";
import { helpSettings } from "../context.ts";
import { collect } from "./produce.ts";

interface TokenOptions {
  /** Whose events it may read; with a role, none may be named. */
  readonly company?: readonly string[];
  readonly role?: readonly string[];
  /** Whom it is for: what can be revoked. */
  readonly subject: string;
  /** Seconds it is valid. */
  readonly ttl: number;
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** @throws MillraceError `invalid-settings` without JWT_SECRET, `invalid-input` for options that cannot be. */
async function mintToken(
  { JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE }: Settings,
  { company = [], role = [], subject, ttl }: TokenOptions,
): Promise<string> {
  if (JWT_SECRET === undefined) {
    throw new MillraceError(
      "invalid-settings",
      "Cannot mint a token: JWT_SECRET is unset, expected the secret of the server that is to accept it",
    );
  }
  if (company.length === 0 && role.length === 0) {
    throw new MillraceError(
      "invalid-input",
      "Cannot mint a token for nobody: expected --company, --role or both",
    );
  }
  const companies = company.map(parseCompanyId);
  const claims = {
    ...(companies.length === 1 ? { companyId: companies[0] } : {}),
    ...(companies.length > 1 ? { companies } : {}),
    ...(role.length > 0 ? { roles: role } : {}),
  };
  const nowSeconds = Math.floor(Date.now() / 1000);
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(subject)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + ttl);
  if (JWT_ISSUER !== undefined) jwt.setIssuer(JWT_ISSUER);
  if (JWT_AUDIENCE !== undefined) jwt.setAudience(JWT_AUDIENCE);
  return jwt.sign(new TextEncoder().encode(JWT_SECRET));
}

function duration(text: string): number {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(amount) * SECONDS[unit as keyof typeof SECONDS];
  if (seconds > 0 && seconds * 1000 <= LONGEST_TOKEN_MS) return seconds;
  throw new InvalidArgumentError(
    "Expected a time such as 90s, 15m, 8h or 7d, at most 366d: a server takes no longer token.",
  );
}

export function addTokenCommand(program: Command): void {
  const command = program
    .command("token")
    .description("mint a development JWT with JWT_SECRET and print it")
    .option("--company <id>", "whose events it may read; may be repeated", collect)
    .option("--role <name>", "such as ops; may be repeated", collect)
    .option("--subject <name>", "whom it is for, which can be revoked", "development")
    .addOption(
      new Option("--ttl <time>", "how long it is valid, such as 90s, 15m, 8h, 7d")
        .argParser(duration)
        .default(3_600, "1h"),
    )
    .action(async (options: TokenOptions) => {
      console.log(await mintToken(readSettingsAndFiles(process.env), options));
    });
  helpSettings(command, ["JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE"]);
}
