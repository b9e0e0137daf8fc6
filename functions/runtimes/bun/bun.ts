/** The little of Bun's own API that is used (bun.sh/docs/api/http), declared here: what else it has, it shares with Node. */

/** A server socket, with what `upgrade` was given. */
export interface BunWebSocket<Data> {
  readonly data: Data;
  /** 1: open. */
  readonly readyState: number;
  /** -1: taken, but not all of it by the kernel; 0: dropped, as it is closed. */
  sendText(text: string): number;
  ping(): number;
  close(code: number, reason: string): void;
  /** Cuts it. */
  terminate(): void;
  getBufferedAmount(): number;
}

export interface BunWebSocketHandlers<Data> {
  /** Bytes; a larger message ends the connection. */
  readonly maxPayloadLength: number;
  /** Bytes after which messages are dropped; 0: none are. */
  readonly backpressureLimit: number;
  /** Seconds; 0: never. */
  readonly idleTimeout: number;
  readonly sendPings: boolean;
  /** Called within `upgrade`. */
  open(socket: BunWebSocket<Data>): void;
  message(socket: BunWebSocket<Data>): void;
  pong(socket: BunWebSocket<Data>): void;
  /** The kernel took some of what was left. */
  drain(socket: BunWebSocket<Data>): void;
  close(socket: BunWebSocket<Data>): void;
}

export interface BunServer {
  readonly port: number;
  /** False: the headers are none of a handshake, or the client is gone. When true, the answer of `fetch` is to be undefined. */
  upgrade(
    request: Request,
    options: { readonly headers: Readonly<Record<string, string>>; readonly data: unknown },
  ): boolean;
  /** Seconds without a byte after which the request's connection is cut; 0: never. */
  timeout(request: Request, seconds: number): void;
  /** Listens no more; resolves when every connection has ended. `true` cuts them. */
  stop(cutAll?: boolean): Promise<void>;
}

interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Seconds without a byte after which a connection is cut, in steps of four. */
  readonly idleTimeout: number;
  /** Bytes. */
  readonly maxRequestBodySize: number;
  fetch(request: Request, server: BunServer): Promise<Response | undefined>;
  error(error: unknown): Response;
  readonly websocket: object;
}

interface BunApi {
  /** @throws when the address cannot be listened on. */
  serve(options: ServeOptions): BunServer;
}

export const bun = (globalThis as unknown as { readonly Bun: BunApi }).Bun;
