/** Whether something on the way keeps what nobody may keep. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, ask, ownCopy } from "./ask.ts";
import type { Outcome } from "./examine.ts";
import type { ProbedStream } from "./open-stream.ts";
import { authorization, type UrlTarget } from "./target.ts";

const NEXT =
  'nginx: "proxy_cache off;", or no "proxy_ignore_headers Cache-Control;" and no "proxy_cache_valid" for these paths; a CDN: bypass its cache for /stream, /ws, /sse and /api (docs/proxies.md)';
/** What caches say of an answer they had. */
const CACHE_HEADERS = ["x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status", "cache-status"];

/** How an answer's headers say that a cache gave it; undefined: they do not. */
function keptBy(headers: Headers): string | undefined {
  const age = headers.get("age");
  if (age !== null && Number(age) > 0) return `age: ${age}`;
  const name = CACHE_HEADERS.find((each) => /\b(hit|stale|updating)\b/i.test(headers.get(each) ?? ""));
  return name === undefined ? undefined : `${name}: ${headers.get(name)}`;
}

/** Live numbers carry the time they were made at: an answer that comes twice was kept. */
export async function probeLiveAnswer(target: UrlTarget, signal: AbortSignal): Promise<Outcome> {
  const query = ownCopy();
  const first = await ask(target, "/stream/health", signal, { query });
  // The server's clock counts milliseconds.
  await sleep(20);
  const second = await ask(target, "/stream/health", signal, { query });
  const said = keptBy(second.headers);
  const isSame = timeOf(first) !== undefined && timeOf(first) === timeOf(second);
  if (!isSame && said === undefined) return "not cached";
  return {
    fault: `/stream/health is cached (${isSame ? "twice the same answer" : said}), although it says no-store`,
    next: NEXT,
  };
}

function timeOf({ text }: Answer): unknown {
  try {
    return (JSON.parse(text) as { timestamp?: unknown }).timestamp;
  } catch {
    return undefined;
  }
}

/** @param watched Resolves when the stream has been followed for a while: what came on it is then in the history too. */
export async function probeHistory(
  target: UrlTarget,
  stream: ProbedStream,
  watched: Promise<unknown>,
  signal: AbortSignal,
): Promise<Outcome> {
  const after = stream.parsed.lastEventId;
  const query = { companyId: target.company, limit: "1", ...(after === "" ? {} : { after }) };
  const read = (headers = authorization(target)) =>
    ask(target, "/stream/history", signal, { query, headers });
  const first = await read();
  if (first.status !== 200) {
    return {
      fault: `/stream/history answers ${first.status}, expected 200 as the stream`,
      next: "send this path to Millrace as it is",
    };
  }
  if (target.token !== undefined && (await read({})).status === 200) {
    return { fault: "/stream/history is cached, and given to who sends no token", next: NEXT };
  }
  const said = keptBy((await read()).headers);
  if (said !== undefined)
    return { fault: `/stream/history is cached (${said}), although it says private`, next: NEXT };
  const { length } = stream.parsed.events;
  await watched;
  if (stream.parsed.events.length === length) return "not cached, as far as can be seen without events";
  const behind = /"events":\[\]/.test((await read()).text);
  return behind
    ? { fault: "/stream/history is cached: it has not what the stream has brought since", next: NEXT }
    : "not cached";
}
