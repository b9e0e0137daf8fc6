/**
 * One HTTP request on a connection of its own, seen as it came: node:http, not fetch, because a check must be able to stop
 * reading, to reset the connection, to see every header line, and to get compressed bytes only when it asked for them.
 */
import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The response headers must have come by then. */
  readonly timeoutMs: number;
}

/** A response whose body has not been read. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly message: IncomingMessage;
  /** Closes the connection, as a tab does. */
  close(): void;
  /** Cuts it by a TCP reset (over TLS: closes it). */
  reset(): void;
}

/** Rejects when the server cannot be reached or its headers do not come in time. */
export function sendRequest(
  url: URL,
  { method = "GET", headers = {}, body, timeoutMs }: RequestOptions,
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      method,
      // Without an agent node:http asks for `Connection: close`, which no browser does.
      headers: { connection: "keep-alive", ...headers },
      agent: false,
    });
    const timer = setTimeout(() => {
      request.destroy(new Error(`no response headers within ${timeoutMs} ms`));
    }, timeoutMs);
    request.once("response", (message) => {
      clearTimeout(timer);
      // A connection cut by either side is what many checks are about: it ends the stream, it is no error here.
      message.on("error", () => {});
      request.on("error", () => {});
      resolve({
        status: message.statusCode ?? 0,
        headers: headersOf(message),
        message,
        close: () => void request.destroy(),
        reset: () => {
          if (url.protocol === "http:") message.socket?.resetAndDestroy();
          request.destroy();
        },
      });
    });
    request.once("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`${method} ${url.pathname}: ${error.message}`, { cause: error }));
    });
    request.end(body);
  });
}

/** A response read to its end, or as far as it got. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** False when the body had not ended in time: what came of it is in `text`. */
  readonly ended: boolean;
  /** The parsed body, undefined when it is not JSON. */
  readonly json: unknown;
}

/** Sends and reads the body, 1 MiB at most, for at most `timeoutMs`. The body of an event stream, which has no end, is left. */
export async function ask(url: URL, options: RequestOptions): Promise<Answer> {
  const response = await sendRequest(url, options);
  if (isEventStream(response) && options.method !== "HEAD") {
    response.close();
    return { status: response.status, headers: response.headers, text: "", ended: false, json: undefined };
  }
  const answer = await readAnswer(response.message, options.timeoutMs);
  response.close();
  return answer;
}

/** Reads the body: 1 MiB at most, for at most `timeoutMs`. */
export async function readAnswer(message: IncomingMessage, timeoutMs: number): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const ended = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const done = (whole: boolean) => {
      clearTimeout(timer);
      resolve(whole);
    };
    message.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > 1024 * 1024) done(false);
    });
    message.once("end", () => done(true));
    message.once("close", () => done(message.complete));
  });
  const text = Buffer.concat(chunks).toString("utf8");
  return {
    status: message.statusCode ?? 0,
    headers: headersOf(message),
    text,
    ended,
    json: parseJson(text),
  };
}

/** Names in lower case; several of one name with commas between. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? "")]));
}

/** Whether the response says it is an event stream, parameters aside. */
export function isEventStream({ headers }: { headers: Readonly<Record<string, string>> }): boolean {
  return /^text\/event-stream\s*(;|$)/i.test(headers["content-type"] ?? "");
}

/** The value of a JSON text, undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends bytes as they are and returns what comes back until `until` says so, the peer closes, or the time is up. */
export function exchangeBytes(
  url: URL,
  request: string,
  { until, timeoutMs }: { until: (received: string) => boolean; timeoutMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const tls = url.protocol === "https:";
    const port = Number(url.port || (tls ? 443 : 80));
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const socket = tls ? connectTls({ host, port, servername: host }) : connectTcp({ host, port });
    let received = "";
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    const timer = setTimeout(done, timeoutMs);
    socket.once("error", (error) => {
      clearTimeout(timer);
      if (received === "") reject(error);
      else done();
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (until(received)) done();
    });
    socket.once("close", done);
    socket.write(request, "latin1");
  });
}
