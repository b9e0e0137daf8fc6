/**
 * A server through its proxy: reached at all, then a stream as a browser opens it, then everything else at once. A thing that is wrong is
 * said once: what needs it is not tried.
 */
import { probeHistory, probeLiveAnswer } from "./caching.ts";
import { examine, type Finding, findingOf, PROBE_MS, type Probe } from "./examine.ts";
import { probeCookie, probeCors, probeHttp2, probeResume } from "./headers.ts";
import { probeReached } from "./reach.ts";
import { type Opening, openFirst, watchCompression, watchSilence } from "./stream.ts";
import { AT_ONCE_MS, SLACK_MS, type UrlTarget } from "./target.ts";
import { probeWebSocket } from "./web-socket.ts";

/** Milliseconds for the first stream: its header, then its first frame. */
const OPEN_MS = 2 * AT_ONCE_MS + SLACK_MS;
/** Milliseconds for a ticket and the two streams it opens. */
const COOKIE_MS = PROBE_MS + 2 * AT_ONCE_MS;

/** Milliseconds it all takes at most. */
export const urlLimitMs = (heartbeatMs: number) =>
  PROBE_MS + OPEN_MS + Math.max(heartbeatMs + SLACK_MS + PROBE_MS, COOKIE_MS);

/** Never rejects. Everything it opens is closed. */
export async function examineUrl(target: UrlTarget): Promise<Finding[]> {
  const { url, token, heartbeatMs } = target;
  const reached = await Promise.all(
    ["/healthz", "/ready"].map((path) => examine(probeReached(target, path))),
  );
  if (reached[0]!.level !== "ok") return reached;

  const what = `${url}/stream/updates`;
  let opening: Opening | undefined;
  const first = await examine({
    what,
    next: "look at the error log of the proxy",
    limitMs: OPEN_MS,
    async run() {
      opening = await openFirst(target);
      return "outcome" in opening ? opening.outcome : "opens";
    },
  });
  const found = opening as Opening | undefined;
  if (found && "outcome" in found && found.isForAll) return [...reached, first];
  const stream = found && "stream" in found ? found.stream : undefined;

  const probe = (part: Omit<Probe, "next"> & { next?: string }) =>
    examine({ next: "look at the error log of the proxy", ...part });
  const beatMs = heartbeatMs + SLACK_MS + PROBE_MS;
  try {
    const silence = stream && watchSilence(stream, target);
    const cache = probe({ what: `${url} (cache)`, run: (signal) => probeLiveAnswer(target, signal) });
    const findings = await Promise.all([
      ...(stream && silence
        ? [
            silence.then((outcome) => findingOf(what, outcome)),
            probe({
              what: `${what} (compression)`,
              limitMs: 3 * AT_ONCE_MS,
              run: () => watchCompression(target),
            }),
            probe({ what: `${what} (resume)`, limitMs: 3 * AT_ONCE_MS, run: () => probeResume(target) }),
            probe({
              what: `${url}/stream/history`,
              limitMs: beatMs,
              run: (signal) => probeHistory(target, stream, silence, signal),
            }),
          ]
        : [Promise.resolve(first)]),
      probe({
        what: `${url}/ws/dashboard`,
        limitMs: beatMs,
        run: (signal) => probeWebSocket(target, signal),
      }),
      cache,
      // Behind it: what one has asked for a cache could give to the other.
      cache.then(() => probe({ what: `${url} (CORS)`, run: (signal) => probeCors(target, stream, signal) })),
      ...(token !== undefined && stream !== undefined ? [cookie(target)] : []),
      ...(new URL(url).protocol === "https:"
        ? [probe({ what: `${url} (TLS)`, run: () => probeHttp2(target) })]
        : []),
    ]);
    return [...reached, ...findings.filter((finding) => finding !== undefined)];
  } finally {
    stream?.close();
  }
}

/** Undefined of a server without tickets. */
async function cookie(target: UrlTarget): Promise<Finding | undefined> {
  let isThere = true;
  const finding = await examine({
    what: `${target.url} (cookies)`,
    next: "look at the error log of the proxy",
    limitMs: COOKIE_MS,
    async run(signal) {
      const outcome = await probeCookie(target, signal);
      isThere = outcome !== undefined;
      return outcome ?? "";
    },
  });
  return isThere ? finding : undefined;
}
