/** Who is asking: tokens for requests, for streams that outlive theirs, and for what takes no header. */

/**
 * Gives the token of the page's user. `why`: `connect` before each connection, `refused` after a 401 (a token that was kept is no use),
 * `renew` when an open stream's token is about to end. `undefined`: no token, the cookie of the same origin if there is one. One that
 * throws is asked again at the next try.
 */
export type GetToken = (
  why: "connect" | "refused" | "renew",
) => string | undefined | Promise<string | undefined>;

type Init = Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> };

/** For all requests of one try: the first token, until it is refused. */
export function keepToken(getToken: GetToken | undefined): GetToken | undefined {
  let kept: ReturnType<GetToken>;
  return (
    getToken &&
    ((why) => {
      if (why !== "connect" || kept === undefined) kept = getToken(why);
      return kept;
    })
  );
}

/** `fetch` with the token; after a 401 once more with another token. */
export async function fetchAs(
  getToken: GetToken | undefined,
  url: string | URL,
  init: Init,
): Promise<Response> {
  let token = await getToken?.("connect");
  for (let isLast = !getToken; ; isLast = true) {
    const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(url, {
      cache: "no-store",
      ...init,
      headers: { ...init.headers, ...authorization },
    });
    if (response.status !== 401 || isLast) return response;
    void response.body?.cancel();
    token = await getToken?.("refused");
  }
}

/**
 * Answers `reauthenticate`, whose data is `{"connectionId","expiresAt"}`. Nothing is lost when it fails: the stream ends with its token and is
 * opened anew with another.
 */
export async function renewToken(
  streamUrl: string | URL,
  data: string,
  getToken: GetToken | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (!getToken) return;
  try {
    const { connectionId } = JSON.parse(data);
    await fetchAs(
      (why) => getToken(why === "connect" ? "renew" : why),
      siblingUrl(streamUrl, "/stream/renew"),
      {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ connectionId }),
        signal,
      },
    );
  } catch {}
}

/** Another path of the same server, with what is asked for; members that are undefined or empty are left out. */
export function siblingUrl(
  url: string | URL,
  path: string,
  query: Readonly<Record<string, string | readonly string[] | undefined>> = {},
): URL {
  const address = new URL(path, new URL(url, globalThis.location?.href));
  for (const [name, value] of Object.entries(query)) {
    if (value?.length) address.searchParams.set(name, String(value));
  }
  return address;
}
