/** Who the clients of the bench are: Millrace is measured with its authentication on. */
import { SignJWT } from "jose";

/** HS256 key of the server under test: 32 characters at least (RFC 7518 section 3.2). */
export const JWT_SECRET = "a-secret-of-the-bench-and-of-no-other-place";

export function mintToken(company: string): Promise<string> {
  return new SignJWT({ companyId: company })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("bench")
    .setExpirationTime("2h")
    .sign(new TextEncoder().encode(JWT_SECRET));
}
