/**
 * Tickets: what a browser, whose EventSource and WebSocket can set no header, shows once in place of its token. A ticket in a URL may end up in
 * a log; so it is worth something once, for half a minute. The store is given neither ticket nor token: what it has is of no use to
 * whoever can read it.
 */

/** Milliseconds a ticket may be redeemed. */
export const TICKET_MS = 30_000;
/** Milliseconds the clocks of two instances may differ: a ticket that is older by more is not looked for. */
const CLOCK_TOLERANCE_MS = 30_000;
const SECRET_BYTES = 32;
/** Behind the secret, the second it was made in: 32 bits since 1970, which end in 2106. */
const SECOND_BYTES = 4;
/** The bytes as base64url, which needs no padding for 36. */
const TICKET = /^[A-Za-z0-9_-]{48}$/;
/** A key is used for one text only, so the nonce may be any (NIST SP 800-38D section 8.2). */
const NONCE = new Uint8Array(12);
const encoder = new TextEncoder();

/** A random ticket. It says when it was made, so that one long past costs the store nothing when a browser keeps coming back with it. */
export function newTicket(nowMs = Date.now()): string {
  const bytes = new Uint8Array(SECRET_BYTES + SECOND_BYTES);
  crypto.getRandomValues(bytes.subarray(0, SECRET_BYTES));
  new DataView(bytes.buffer).setUint32(SECRET_BYTES, Math.floor(nowMs / 1000));
  return toBase64Url(bytes);
}

/** Whether the store may have it: it has the form of one and is not long past. */
export function mayBeTicket(ticket: string, nowMs = Date.now()): boolean {
  if (!TICKET.test(ticket)) return false;
  const second = new DataView(fromBase64Url(ticket).buffer).getUint32(SECRET_BYTES);
  return nowMs - second * 1000 <= TICKET_MS + CLOCK_TOLERANCE_MS;
}

/** Under which name the store keeps it: a ticket cannot be found from it. */
export async function ticketId(ticket: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(ticket))));
}

/** The token as the store keeps it. */
export async function sealToken(ticket: string, token: string): Promise<string> {
  const key = await keyOf(ticket, "encrypt");
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: NONCE }, key, encoder.encode(token));
  return toBase64Url(new Uint8Array(sealed));
}

/** The token again; undefined: sealed by another ticket, or changed since. */
export async function openToken(ticket: string, sealed: string): Promise<string | undefined> {
  try {
    const key = await keyOf(ticket, "decrypt");
    const token = await crypto.subtle.decrypt({ name: "AES-GCM", iv: NONCE }, key, fromBase64Url(sealed));
    return new TextDecoder().decode(token);
  } catch {
    return undefined;
  }
}

/** HKDF (RFC 5869) without a salt: a ticket is all random. */
async function keyOf(ticket: string, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const secret = await crypto.subtle.importKey("raw", encoder.encode(ticket), "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode("millrace ticket") },
    secret,
    { name: "AES-GCM", length: 256 },
    false,
    [use],
  );
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}
