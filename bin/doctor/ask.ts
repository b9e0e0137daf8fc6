/** One answer to a route, read whole. */
import { routeUrl, type UrlTarget } from "./target.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A query that makes a URL another one for a cache; the server does not look at it. */
export const ownCopy = () => ({ doctor: crypto.randomUUID() });

export async function ask(
  target: UrlTarget,
  path: string,
  signal: AbortSignal,
  {
    headers = {},
    query = {},
    method = "GET",
  }: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly query?: Readonly<Record<string, string>>;
    readonly method?: string;
  } = {},
): Promise<Answer> {
  const response = await fetch(routeUrl(target, path, query), {
    method,
    headers,
    signal,
    redirect: "manual",
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
