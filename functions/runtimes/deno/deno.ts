/** The little of Deno's own API that is used (docs.deno.com/api/deno), declared here: what else it has, it shares with Node. */

/** A server socket of `Deno.upgradeWebSocket`, as much of it as is used. */
export interface DenoWebSocket extends EventTarget {
  readonly readyState: number;
  /** Bytes not written yet; 0 once it is closing. */
  readonly bufferedAmount: number;
  send(text: string): void;
  /** On the server's side any code may be sent. */
  close(code: number, reason: string): void;
}

export interface DenoServer {
  readonly addr: { readonly port: number };
  /** Listens no more and resolves when every answer is finished, with no limit of time. */
  shutdown(): Promise<void>;
}

interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Connections the kernel holds until they are accepted. */
  readonly tcpBacklog: number;
  /** Printed to stdout unless given. */
  onListen(): void;
  onError(error: unknown): Response;
}

interface DenoApi {
  /** @throws when the address cannot be listened on. */
  serve(options: ServeOptions, handler: (request: Request) => Response | Promise<Response>): DenoServer;
  /** @throws TypeError when the headers are none of a handshake; it does not look at all of them. */
  upgradeWebSocket(
    request: Request,
    options: {
      /** Seconds; a ping after half of it in silence, and the end after the other half. */
      readonly idleTimeout: number;
    },
  ): { readonly socket: DenoWebSocket; readonly response: Response };
}

export const deno = (globalThis as unknown as { readonly Deno: DenoApi }).Deno;
