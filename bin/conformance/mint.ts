/** Tokens for the kit, made with the server's own secret: to see what becomes of one that ends soon. */
import { SignJWT } from "jose";
import { readSettingsAndFiles } from "../../functions/runtimes/node/secret-files.ts";
import type { Target } from "./target.ts";

/** Of JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE in the environment. @throws Error in words for the user. */
export function createMint(
  env: Readonly<Record<string, string | undefined>>,
): NonNullable<Target["mintToken"]> {
  const { JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE } = readSettingsAndFiles(env);
  if (JWT_SECRET === undefined) {
    throw new Error("Cannot mint tokens: JWT_SECRET is unset, expected the secret of the server under test");
  }
  const key = new TextEncoder().encode(JWT_SECRET);
  return (companyId, seconds) => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const jwt = new SignJWT({ companyId })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setSubject("conformance")
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + seconds);
    if (JWT_ISSUER !== undefined) jwt.setIssuer(JWT_ISSUER);
    if (JWT_AUDIENCE !== undefined) jwt.setAudience(JWT_AUDIENCE);
    return jwt.sign(key);
  };
}
