/** What a request must be before the app is asked, on runtimes that hand on requests which Node's parser refuses. */

/** Bytes of the URL and the headers of a request; more is answered 431, as on Node. */
const MAX_HEADER_BYTES = 16 * 1024;

/** The answer to a request that is not in form: a host that is none leaves a URL that is none, and is 400 (RFC 9112 section 3.2). */
export function refuseRequest({ url, headers }: Request): Response | undefined {
  if (!URL.canParse(url)) return new Response(null, { status: 400 });
  let bytes = url.length;
  // With the colon, the space and the line break.
  for (const [name, value] of headers) bytes += name.length + value.length + 4;
  return bytes > MAX_HEADER_BYTES ? new Response(null, { status: 431 }) : undefined;
}
