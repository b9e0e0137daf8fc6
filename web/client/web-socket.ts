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

/** One connection, to its end. A browser gives a socket no header, so a ticket says who is asking. */
export async function readWebSocket(
  { url, companyId, types, getToken }: UpdatesRequest,
  after: string,
  attempt: Attempt,
  onFrame: (frame: Frame) => void,
): Promise<Outcome> {
  const { signal } = attempt;
  const address = siblingUrl(url, "/ws/updates", { companyId, types, lastEventId: after });
  address.protocol = address.protocol.replace("http", "ws");
  const token = await getToken?.("connect");
  if (token) {
    const response = await fetchAs(
      (why) => (why === "connect" ? token : getToken?.(why)),
      siblingUrl(url, "/stream/tickets"),
      { method: "POST", signal },
    );
    const refused = await refusalOf(response, attempt);
    if (refused) return refused;
    address.searchParams.set("ticket", (await response.json()).ticket);
  }
  return await new Promise((resolve) => {
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
  });
}
