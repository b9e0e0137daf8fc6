/** What the Worker asks a company's Durable Object, and what that answers, on the wire between the two. Nobody else can reach a Durable Object. */
import { MillraceError } from "../functions/core/errors.ts";
import type { CompanyId } from "../functions/core/ids.ts";
import type { Refusal } from "../functions/ports/hub.ts";
import type { LiveRequest } from "../functions/ports/live.ts";

/**
 * Connections of one Durable Object: at about 50 KiB each they fill half of its 128 MiB, and one write to each takes it 50 ms
 * (`npm run bench`, workerd).
 */
export const SHARD_CONNECTIONS = 1_000;

export type HubRequest =
  | {
      readonly kind: "open";
      readonly wanted: LiveRequest;
      /** Further ones of the answer. */
      readonly headers: Readonly<Record<string, string>>;
      /** Whether the answer is read by the Worker itself, and says why it ends (workers/follow-answer.ts). */
      readonly isFollowed?: boolean;
    }
  | { readonly kind: "poll" };

/** Holds the request as JSON. */
const ASKED = "millrace-asked";
/** Of a request whose answer is followed: whoever opens the stream has the request alone, and need not parse it. */
const FOLLOWED = "millrace-followed";
/** Of an answer that is none: a {@link Refusal}, or that the store cannot be reached. */
const REFUSED = "millrace-refused";
/** Headers of the client's request that matter to who answers it. None that holds a secret; none of ours, so that nobody outside can ask. */
const PASSED_ON = ["upgrade", "accept-encoding", "via"];

/** The client's request, as far as it is passed on. */
export interface ClientRequest {
  readonly headers: Headers;
  /** What Cloudflare adds; absent on a workerd of one's own. */
  readonly cf?: { readonly clientAcceptEncoding?: string };
}

/** A URL says nothing here; the real one may hold a ticket. */
const URL_OF_HUB = "https://company-hub/";

/** `client`: undefined where nobody's answer depends on it. */
export function encodeHubRequest(asked: HubRequest, client?: ClientRequest): Request {
  // A header is Latin-1, and a subject need not be.
  const json = JSON.stringify(asked).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const headers = new Headers({ [ASKED]: json });
  if (asked.kind === "open" && asked.isFollowed) headers.set(FOLLOWED, "1");
  for (const name of PASSED_ON) {
    const value = client?.headers.get(name) ?? null;
    if (value !== null) headers.set(name, value);
  }
  // Cloudflare, and wrangler like it, put their own there and the client's aside (Workers, Request, `cf`).
  const accepted = client?.cf?.clientAcceptEncoding;
  if (accepted !== undefined) headers.set("accept-encoding", accepted);
  return new Request(URL_OF_HUB, { headers });
}

export function decodeHubRequest({ headers }: Request): HubRequest {
  return JSON.parse(headers.get(ASKED) ?? "") as HubRequest;
}

export function isFollowed({ headers }: Request): boolean {
  return headers.has(FOLLOWED);
}

export function refusedResponse(reason: Refusal | "unavailable"): Response {
  return new Response(null, { status: 503, headers: { [REFUSED]: reason } });
}

/** The answer as it came, or the refusal. @throws MillraceError `unavailable` when the store of who answered cannot be reached. */
export function readHubResponse(response: Response): Response | Refusal {
  const refused = response.headers.get(REFUSED);
  if (refused === null) return response;
  if (refused === "unavailable")
    throw new MillraceError(
      "unavailable",
      "Cannot read the log of a company: its hub cannot reach the store",
    );
  return refused as Refusal;
}

/** Of a Durable Object: a company's n-th, or the one for views over all companies. No company is named with `#` or `*`. */
export function hubName(company: CompanyId | undefined, shard: number): string {
  return shard === 0 ? (company ?? "*") : `${company}#${shard}`;
}

/** Whose it is; undefined: everybody's. */
export function companyOfHub(name: string): CompanyId | undefined {
  return name === "*" ? undefined : (name.split("#", 1)[0] as CompanyId);
}
