/** An HTTP upgrade on Node as a request the app understands, and the app's answer when it is no. */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** Headers of one hop: the connection ends with this answer. */
const OWN_HEADERS = new Set(["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"]);

/** Undefined when it is none: no path of this server, or headers that cannot be. */
export function requestOf({ method, url = "", headers, rawHeaders }: IncomingMessage): Request | undefined {
  // What is more than a host would change the path.
  if (/[/?#@\\]/.test(headers.host ?? "")) return undefined;
  try {
    const given = new Headers();
    for (let at = 0; at < rawHeaders.length; at += 2) given.append(rawHeaders[at]!, rawHeaders[at + 1]!);
    return new Request(`http://${headers.host ?? "localhost"}${url}`, {
      method: method ?? "GET",
      headers: given,
    });
  } catch {
    return undefined;
  }
}

/** Writes the answer and ends the connection. */
export async function answerUpgrade(socket: Duplex, response: Response): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer());
  if (socket.destroyed) return;
  const lines = [`HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ""}`];
  for (const [name, value] of response.headers) {
    if (!OWN_HEADERS.has(name)) lines.push(`${name}: ${value}`);
  }
  if (response.status === 426) lines.push("upgrade: websocket");
  lines.push("connection: close", `content-length: ${body.byteLength}`, "", "");
  socket.write(lines.join("\r\n"));
  socket.end(body);
}
