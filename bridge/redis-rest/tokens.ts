/** Who may do what: the bearer tokens of the gateway. */
import { createHash, timingSafeEqual } from "node:crypto";

/** `write`: everything the gateway lets through. `read`: what changes nothing. */
export type Access = "write" | "read";

/** Says what the `Authorization` header of a request allows; undefined: nothing. */
export type ReadAccess = (authorization: string | undefined) => Access | undefined;

/** Tokens are compared by their hashes, so that the time it takes tells neither a token's characters nor its length. */
export function createReadAccess(token: string, readonlyToken: string | undefined): ReadAccess {
  const writer = hashOf(token);
  const reader = readonlyToken === undefined ? undefined : hashOf(readonlyToken);
  return (authorization) => {
    const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (presented === undefined) return undefined;
    const hash = hashOf(presented);
    const isWriter = timingSafeEqual(hash, writer);
    const isReader = reader !== undefined && timingSafeEqual(hash, reader);
    if (isWriter) return "write";
    return isReader ? "read" : undefined;
  };
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
