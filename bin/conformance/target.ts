/** What is under test: where its streams are, who may read them, and how an event is made to appear. */
import type { Publisher } from "./publishers.ts";

/** `sse`: what any server-sent events server owes its clients. `millrace`: everything PROTOCOL.md promises besides. */
export type Profile = "sse" | "millrace";

export interface Target {
  /** Origin, and a base path if the server is mounted under one. */
  readonly url: string;
  /** Path of the stream; `{company}` in it is filled in, else the company goes in the query. Default `/stream/updates`. */
  readonly streamPath: string;
  /** Query parameter of the company. Default `companyId`. */
  readonly companyParam: string;
  /** Query parameter of the cursor. Default `lastEventId`. */
  readonly lastIdParam: string;
  readonly company: string;
  /** Another company, to see that its events stay its own. Needs no access to its stream. */
  readonly otherCompany: string;
  /** Bearer token that may read `company` and not `otherCompany`. */
  readonly token: string | undefined;
  /** Bearer token that may read `otherCompany`. */
  readonly otherToken: string | undefined;
  /** AUTH_TOKEN of the server: sees the GPUs of every company. Undefined: what it opens is not looked at. */
  readonly metricsToken: string | undefined;
  /**
   * Makes a bearer token that may read the company and ends after so many seconds, always of one subject. Undefined: what ends with a token
   * is not looked at.
   */
  readonly mintToken: ((company: string, seconds: number) => Promise<string>) | undefined;
  /** Undefined: only what happens on the stream by itself can be looked at. */
  readonly publisher: Publisher | undefined;
  /** The kit's one service on the operator's board, where it is left stopped: one name a run that goes on at the same time. */
  readonly service: string;
  /** Undefined: `millrace` when /stream/health answers as PROTOCOL.md says. */
  readonly profile: Profile | undefined;
  /** Longest silence a stream may have, milliseconds: the server's HEARTBEAT_MS. */
  readonly heartbeatMs: number;
  /** The longest one check may wait for something to happen, milliseconds. */
  readonly patienceMs: number;
}

export const TARGET_DEFAULTS = {
  streamPath: "/stream/updates",
  companyParam: "companyId",
  lastIdParam: "lastEventId",
  company: "acme",
  otherCompany: "globex",
  token: undefined,
  otherToken: undefined,
  metricsToken: undefined,
  mintToken: undefined,
  publisher: undefined,
  service: "conformance-kit",
  profile: undefined,
  heartbeatMs: 15_000,
  patienceMs: 20_000,
} as const satisfies Omit<Target, "url">;

/** The stream's URL. `query` wins over the company; a value of undefined leaves the parameter out. */
export function streamUrl(
  target: Target,
  company: string,
  query: Readonly<Record<string, string | undefined>> = {},
): URL {
  const inPath = target.streamPath.includes("{company}");
  const url = routeUrl(target, target.streamPath.replaceAll("{company}", encodeURIComponent(company)));
  const parameters = inPath ? query : { [target.companyParam]: company, ...query };
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) url.searchParams.append(name, value);
  }
  return url;
}

/** Another route of the server, under the same base path. */
export function routeUrl(target: Target, path: string): URL {
  return new URL(`${target.url.replace(/\/+$/, "")}${path}`);
}
