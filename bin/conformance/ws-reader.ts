/** An open WebSocket of events: every message that came on it, read as what it stands for; or the answer that refused it. */
import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { type Answer, parseJson, type RequestOptions, readAnswer } from "./http.ts";
import { type SseEvent, show } from "./sse-parser.ts";
import type { Stream } from "./stream.ts";
import { createWatch } from "./watch.ts";

/** One message: the members of a server-sent event's frame. Empty: a heartbeat. */
export interface SocketMessage {
  readonly event?: string;
  readonly id?: string;
  readonly data?: unknown;
  /** Milliseconds. */
  readonly retry?: number;
}

export interface SocketStream extends Stream {
  readonly messages: readonly SocketMessage[];
  /** As they came, and when: milliseconds of `performance.now()`. */
  readonly texts: readonly string[];
  readonly timesMs: readonly number[];
  /** 0 while it is open; 1006 when the connection was lost without one (RFC 6455 7.1.5). */
  readonly closeCode: number;
}

const MEMBERS = new Set(["event", "id", "data", "retry"]);

/** Asks for the upgrade. Resolves with the socket, or with the answer that refuses it; rejects when neither comes in time. */
export function openSocket(
  url: URL,
  { headers = {}, timeoutMs }: Pick<RequestOptions, "headers" | "timeoutMs">,
): Promise<SocketStream | Answer> {
  const address = new URL(url);
  address.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(address, { headers, handshakeTimeout: timeoutMs, perMessageDeflate: false });
  const messages: SocketMessage[] = [];
  const texts: string[] = [];
  const timesMs: number[] = [];
  const events: SseEvent[] = [];
  const problems: string[] = [];
  let lastEventId = "";
  let closeCode = 0;
  const watch = createWatch(() => closeCode !== 0);

  const read = (text: string) => {
    texts.push(text);
    timesMs.push(performance.now());
    const value = parseJson(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      problems.push(`a message that is no JSON object: ${show(text)}`);
      return;
    }
    const stranger = Object.keys(value).find((name) => !MEMBERS.has(name));
    if (stranger !== undefined) problems.push(`a message with the member ${show(stranger)}: ${show(text)}`);
    const message = value as SocketMessage;
    messages.push(message);
    if (message.id !== undefined) lastEventId = message.id;
    if (message.data === undefined) return;
    const type = message.event ?? "message";
    events.push({ type, data: JSON.stringify(message.data), lastEventId, atMs: performance.now() });
  };
  socket.on("message", (data, isBinary) => {
    if (isBinary) problems.push("a binary message");
    else read(String(data));
    watch.changed();
  });
  socket.on("close", (code) => {
    closeCode = code;
    watch.changed();
  });

  return new Promise((resolve, reject) => {
    let answered: Readonly<Record<string, string>> = {};
    socket.on("error", (error) => reject(new Error(`${url.pathname}: ${error.message}`, { cause: error })));
    socket.once("unexpected-response", (_request, response: IncomingMessage) => {
      // An answer that has been read has let go of its connection, which the server may keep.
      const { socket: connection } = response;
      readAnswer(response, timeoutMs)
        .finally(() => connection.destroy())
        .then(resolve, reject);
    });
    socket.once("upgrade", ({ headers: given }) => {
      answered = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
    });
    socket.once("open", () =>
      resolve({
        messages,
        texts,
        timesMs,
        parsed: {
          events,
          problems,
          get lastEventId() {
            return lastEventId;
          },
        },
        get headers() {
          return answered;
        },
        get closeCode() {
          return closeCode;
        },
        get ended() {
          return closeCode !== 0;
        },
        until: watch.until,
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        close: () => socket.close(),
        reset: () => socket.terminate(),
      }),
    );
  });
}
