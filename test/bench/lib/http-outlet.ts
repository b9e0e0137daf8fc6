/** Events as POST requests over raw sockets: a client that costs little, so that the server is what is measured. */
import { connect, type Socket } from "node:net";
import type { Outlet } from "./outlet.ts";

/** Connections to one HTTP publisher location. */
const MAX_CONNECTIONS = 32;

/** One request at a time a connection, so that order is kept while the server keeps up; more connections when it does not. */
export function httpOutlet(url: URL): Outlet {
  const idle: Socket[] = [];
  const queue: string[] = [];
  const inFlight = new Map<Socket, string>();
  const sockets = new Set<Socket>();
  let ended = false;
  let failure: string | undefined;

  const next = (socket: Socket) => {
    const body = queue.shift();
    if (body === undefined) {
      idle.push(socket);
      return;
    }
    inFlight.set(socket, body);
    socket.write(
      `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  };
  const dial = () => {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    sockets.add(socket);
    let answer = "";
    socket.on("connect", () => next(socket));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (!isComplete(answer)) return;
      if (!/^HTTP\/1\.1 2/.test(answer)) failure ??= answer.slice(0, 300);
      inFlight.delete(socket);
      if (/\r\nconnection: close\r\n/i.test(answer)) socket.destroy();
      else next(socket);
      answer = "";
    });
    socket.on("error", (error) => {
      if (socket.connecting) failure ??= String(error);
    });
    // Servers close connections that are idle or have served enough: what it did not answer is sent again.
    socket.on("close", () => {
      sockets.delete(socket);
      if (idle.includes(socket)) idle.splice(idle.indexOf(socket), 1);
      const unanswered = inFlight.get(socket);
      inFlight.delete(socket);
      if (unanswered !== undefined) queue.unshift(unanswered);
      if (!ended && !failure && queue.length > 0) dial();
    });
  };
  return {
    send(events) {
      queue.push(...events);
      while (queue.length > 0 && idle.length > 0) next(idle.pop()!);
      if (queue.length > 0 && sockets.size < MAX_CONNECTIONS) dial();
    },
    pending: () => queue.length + inFlight.size,
    failure: () => failure,
    close: () => {
      ended = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Whether a whole response is there: a length, or chunks to their end, or a status without a body. */
function isComplete(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = answer.slice(0, end).toLowerCase();
  const length = /content-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) return answer.length >= end + 4 + Number(length);
  if (head.includes("transfer-encoding: chunked")) return answer.endsWith("0\r\n\r\n");
  return true;
}
