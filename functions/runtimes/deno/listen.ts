/** Listening on Deno: what its HTTP server leaves to us. */
import { sleep } from "../../core/backoff.ts";
import { describeError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { cannotListen } from "../cannot-listen.ts";
import { listenHost } from "../node/host.ts";
import { refuseRequest } from "../web-requests.ts";
import { type DenoServer, deno } from "./deno.ts";

/** Connections the kernel holds until they are accepted: a thousand clients reconnecting at once must not be refused. Capped by somaxconn. */
const BACKLOG = 4096;
/** Milliseconds in which answers that are under way may be finished. */
const CLOSE_MS = 1_000;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly logger: Logger;
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Disposing it lets answers finish for a second; it cannot cut the rest. @throws MillraceError `unavailable`. */
export function listen({ host, port, fetch, logger }: ListenOptions): Listening {
  let server: DenoServer;
  try {
    server = deno.serve(
      {
        hostname: listenHost(host),
        port,
        tcpBacklog: BACKLOG,
        onListen() {},
        onError(error) {
          logger.error({ reason: describeError(error) }, "Cannot answer a request");
          return Response.json({ error: "Internal" }, { status: 500 });
        },
      },
      (request) => refuseRequest(request) ?? fetch(request),
    );
  } catch (cause) {
    throw cannotListen(host, port, "PORT", cause);
  }
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      // What is left then ends with the process: aborting a server that is shutting down is an uncaught error (Deno 2.9.6, BadResource).
      const waited = new AbortController();
      await Promise.race([server.shutdown(), sleep(CLOSE_MS, waited.signal)]);
      waited.abort();
    },
  };
}
