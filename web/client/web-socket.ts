/** `/ws/updates`: what gets through where a proxy holds server-sent events back. */
import type { UpdatesRequest } from "./history.ts";
import { parseJson } from "./item.ts";
import type { Attempt, Outcome } from "./keep-open.ts";
import { ENDED, refusalOf } from "./stream.ts";
import { fetchAs, renewToken, siblingUrl } from "./token.ts";

/** One message: a frame, as an object. */
export interface Frame {
  readonly event?: string;
  readonly id?: string;
  readonly data?: unknown;
  readonly retry?: number;
}

/** WebSocket close codes of the server's own (PROTOCOL.md, "WebSocket"). */
const REASONS: ReadonlyMap<number, string> = new Map([
  [1013, "streaming is switched off"],
  [4401, "the token has ended"],
  [4403, "access was revoked"],
]);

/**
 * One connection, to its end. A browser gives a socket no header, so a ticket says who is asking. Where none is given, or the page may open no
 * socket, it has ended without a word: something else may get through, and is refused itself if the reader is.
 */
export async function readWebSocket(
  { url, companyId, types, getToken }: UpdatesRequest,
  after: string,
  attempt: Attempt,
  onFrame: (frame: Frame) => void,
): Promise<Outcome> {
  const { signal } = attempt;
  const address = siblingUrl(url, "/ws/updates", { companyId, types, lastEventId: after });
  address.protocol = address.protocol.replace("http", "ws");
  const ended: Outcome = { kind: "ended", reason: ENDED };
  if (await getToken?.("connect")) {
    const response = await fetchAs(getToken, siblingUrl(url, "/stream/tickets"), { method: "POST", signal });
    const refused = await refusalOf(response, attempt);
    if (refused) return refused.kind === "refused" ? ended : refused;
    address.searchParams.set("ticket", (await response.json()).ticket);
  }
  return await new Promise<Outcome>((resolve) => {
    const socket = new WebSocket(address);
    signal.addEventListener("abort", () => socket.close());
    if (signal.aborted) socket.close();
    socket.onmessage = ({ data }) => {
      if (signal.aborted) return;
      attempt.heard();
      const frame: Frame = Object(parseJson(String(data)));
      if (frame.retry) attempt.retry(frame.retry);
      attempt.live();
      if (frame.event === "reauthenticate") {
        void renewToken(url, JSON.stringify(frame.data), getToken, signal);
      }
      if (frame.id !== undefined) onFrame(frame);
    };
    socket.onclose = ({ code }) => {
      resolve({ kind: "ended", reason: REASONS.get(code) ?? ENDED, isRefusal: code === 1013 });
    };
  }).catch(() => ended);
}
