/** Whether a WebSocket gets through, and stays. */
import { WebSocket } from "ws";
import type { Outcome } from "./examine.ts";
import { authorization, routeUrl, SLACK_MS, seconds, type UrlTarget } from "./target.ts";

const UPGRADE =
  'nginx: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;" where /ws/ is (infra/nginx)';

/** Opens one as a page of that origin would, and stays for the first ping. */
export function probeWebSocket(target: UrlTarget, signal: AbortSignal): Promise<Outcome> {
  const url = routeUrl(target, "/ws/dashboard", { companyId: target.company });
  const { heartbeatMs } = target;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.href.replace(/^http/, "ws"), {
      headers: authorization(target),
      origin: url.origin,
    });
    let openedMs: number | undefined;
    const done = (outcome: Outcome) => {
      clearTimeout(late);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.terminate();
      resolve(outcome);
    };
    const silence = () => seconds(performance.now() - (openedMs ?? 0));
    const late = setTimeout(
      () => done({ note: `connects; no ping within ${silence()} (--heartbeat-ms)` }),
      heartbeatMs + SLACK_MS,
    );
    signal.addEventListener("abort", () => socket.terminate());
    socket.on("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
    socket.on("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("close", () => {
        done(refused(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8"), target));
      });
    });
    socket.on("open", () => {
      openedMs = performance.now();
    });
    socket.on("ping", () => done(`connects, ping after ${silence()}`));
    socket.on("close", (code) => {
      if (code !== 1006) return done({ note: `the server closed it (${code})` });
      done({
        fault: `cut after ${silence()}, expected a ping first (HEARTBEAT_MS ${heartbeatMs})`,
        next: 'nginx: "proxy_read_timeout 24h;" where /ws/ is (its default is 60s); others: raise their idle timeout, or lower HEARTBEAT_MS',
      });
    });
  });
}

function refused(status: number, text: string, { token }: UrlTarget): Outcome {
  if (status === 401 && token === undefined) return { note: "not looked at: it wants a token (--token)" };
  // 426: what came to Millrace was no upgrade. 400: to its WebSocket library.
  if (status === 426 || status === 400 || status === 500)
    return {
      fault: `the upgrade was refused (${status}): Upgrade or Connection did not reach the server`,
      next: UPGRADE,
    };
  if (status === 403 && /WebSocket for a page of/.test(text))
    return {
      fault: "refused (403) to a page of this very origin: the server was told of another host",
      next: 'nginx: "proxy_set_header Host $http_host;", or name the public origin in CORS_ORIGINS',
    };
  if (status === 429 || status === 503)
    return { note: `not looked at: the server refuses for now (${status})` };
  return {
    fault: `the upgrade was answered ${status}, expected 101`,
    next: `${UPGRADE}; the proxy's error log has the reason`,
  };
}
