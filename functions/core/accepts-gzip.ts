/** Whether an answer may be sent in gzip, by what the request says of itself. */

/**
 * Whether to send gzip: `accept-encoding` names `gzip`, its old name `x-gzip` or `*`, and does not like `identity` better (RFC 9110,
 * section 12.5.3).
 *
 * - Not without the header, although the RFC would allow it: a client that does not ask (curl) hands on the bytes as they come.
 * - Not when `via` says that the request came through an HTTP/1.0 proxy: HTTP/1.0 (RFC 1945) has neither `Vary` nor `Cache-Control`, so
 *   what such a proxy keeps of a coded answer may reach a client that cannot decode it.
 *
 * At Cloudflare `accept-encoding` is the edge's own; the client's is `request.cf.clientAcceptEncoding`.
 *
 * `cache-control: no-transform` stays right: it forbids those on the way to change the coding, not the origin to choose one (RFC 9110,
 * section 7.7; RFC 9111, section 5.2.2.6). The answer says `vary: accept-encoding`, coded or not.
 */
export function acceptsGzip(acceptEncoding: string | undefined, via: string | undefined): boolean {
  if (acceptEncoding === undefined || passedHttp10(via)) return false;
  const weights = new Map<string, number>();
  for (const member of acceptEncoding.toLowerCase().split(",")) {
    const [coding = "", ...parameters] = member.split(";");
    weights.set(coding.trim(), weightOf(parameters));
  }
  const others = weights.get("*") ?? 0;
  const gzip = weights.get("gzip") ?? weights.get("x-gzip") ?? others;
  return gzip > 0 && gzip >= (weights.get("identity") ?? others);
}

const WEIGHT = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/;

/** 1 when nothing is said, 0 when what is said cannot be read: then it is better to be understood. */
function weightOf(parameters: readonly string[]): number {
  const [first] = parameters;
  if (first === undefined) return 1;
  return Number(WEIGHT.exec(first)?.[1] ?? 0);
}

/** `Via` begins each of its members with the protocol a proxy received (RFC 9110, section 7.6.3): `1.0 fred, HTTP/1.1 p.example`. */
function passedHttp10(via: string | undefined): boolean {
  return via?.split(",").some((member) => /^\s*(?:http\/)?1\.0(?:\s|$)/i.test(member)) ?? false;
}
