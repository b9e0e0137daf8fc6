/** Whether what page and server tell each other in headers gets through, and nothing is added. */
import { connect } from "node:tls";
import { ask, ownCopy } from "./ask.ts";
import type { Outcome } from "./examine.ts";
import { openStream, type ProbedStream } from "./open-stream.ts";
import { AT_ONCE_MS, authorization, STRANGER, streamUrl, type UrlTarget } from "./target.ts";

const OWN_CORS =
  'nginx: no "add_header Access-Control-…" (CORS_ORIGINS has the server send them, exact and once); a CDN: no CORS response policy';

/** @param stream Opened with the origin of a stranger. */
export async function probeCors(
  target: UrlTarget,
  stream: ProbedStream | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const allowed = "access-control-allow-origin";
  const health = await ask(target, "/stream/health", signal, {
    query: ownCopy(),
    headers: { origin: STRANGER },
  });
  const given = stream?.headers[allowed] ?? health.headers.get(allowed);
  if (given) {
    return {
      fault: `access-control-allow-origin: ${given} to a page of ${STRANGER}: the proxy adds it, Millrace names none but CORS_ORIGINS`,
      next: OWN_CORS,
    };
  }
  const [own] = target.origins;
  if (own === undefined) return "nothing added to CORS";
  const answer = await ask(target, "/stream/health", signal, { query: ownCopy(), headers: { origin: own } });
  const named = answer.headers.get(allowed);
  if (named === own) return `CORS as CORS_ORIGINS says`;
  const seen = named === null ? "is missing" : `is "${named}"`;
  return {
    fault: `access-control-allow-origin ${seen} for ${own}, expected it once, as CORS_ORIGINS has it`,
    next: `${OWN_CORS}, and no "proxy_hide_header Access-Control-…" or "proxy_set_header Origin"`,
  };
}

/** A cursor of a log there is not: the server answers it with a gap that names it. */
const FOREIGN_CURSOR = "doctor.1-1";

/** Whether a reconnect would say where it was. */
export async function probeResume(target: UrlTarget): Promise<Outcome> {
  const headers = {
    ...authorization(target),
    "accept-encoding": "identity",
    "last-event-id": FOREIGN_CURSOR,
  };
  const stream = await openStream(streamUrl(target), headers, AT_ONCE_MS);
  try {
    const isHeard = () =>
      stream?.parsed.events.some(({ type, data }) => type === "gap" && data.includes(FOREIGN_CURSOR)) ??
      false;
    if (await stream?.until(isHeard, AT_ONCE_MS)) return "Last-Event-ID gets through";
    return {
      fault: "the server does not hear of Last-Event-ID: a reconnect would lose what came meanwhile",
      next: 'nginx: "proxy_pass_request_headers on;" and no "proxy_set_header Last-Event-ID"; others: forward the header (a CDN: add it to its origin request policy)',
    };
  } finally {
    stream?.close();
  }
}

/** A ticket is redeemed for a cookie, and the cookie lets the reconnect in: as EventSource does. */
export async function probeCookie(target: UrlTarget, signal: AbortSignal): Promise<Outcome | undefined> {
  const answer = await ask(target, "/stream/tickets", signal, {
    method: "POST",
    headers: authorization(target),
  });
  // A server without tickets.
  if (answer.status === 404 || answer.status === 405) return undefined;
  if (answer.status === 429) return { note: "not looked at: this token has had its tickets for now (429)" };
  let ticket: unknown;
  try {
    ({ ticket } = JSON.parse(answer.text) as { ticket?: unknown });
  } catch {}
  if (typeof ticket !== "string") {
    return {
      fault: `POST /stream/tickets answers ${answer.status}, expected a ticket`,
      next: "let POST through to /stream/tickets, with its Authorization header",
    };
  }
  const open = async (headers: Record<string, string>) => {
    const stream = await openStream(streamUrl(target, { ticket }), headers, AT_ONCE_MS);
    stream?.close();
    return stream;
  };
  const first = await open({});
  const cookie = first?.headers["set-cookie"];
  if (first?.status !== 200 || cookie === undefined) {
    return {
      fault: `the stream with a ticket answers ${first?.status ?? "nothing"} ${cookie === undefined ? "without" : "with"} a cookie, expected 200 and Set-Cookie`,
      next: 'nginx: no "proxy_hide_header Set-Cookie;" and the query handed on as it came; a CDN: forward query strings and cookies',
    };
  }
  const again = await open({ cookie: cookie.split(";")[0]! });
  if (again?.status === 200) return "a ticket's cookie gets through";
  return {
    fault: `the reconnect with the cookie answers ${again?.status ?? "nothing"}, expected 200: the cookie does not reach the server`,
    next: 'nginx: no "proxy_set_header Cookie" of its own; a CDN: forward cookies (an origin request policy)',
  };
}

/** What a browser would speak over TLS. */
export function probeHttp2({ url }: UrlTarget): Promise<Outcome> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host, port: Number(port || 443), servername: host, ALPNProtocols: ["h2", "http/1.1"] },
      () => {
        const isHttp2 = socket.alpnProtocol === "h2";
        socket.destroy();
        resolve(
          isHttp2
            ? "HTTP/2"
            : {
                note: 'HTTP/1.1 alone: a browser opens six streams a host at most, over all its tabs. Next: nginx: "listen 443 ssl http2;" (1.25.1 and newer: "http2 on;")',
              },
        );
      },
    );
    socket.once("error", reject);
  });
}
