/** Listening, with an error an operator can act on. */
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { cannotListen } from "../cannot-listen.ts";
import { listenHost } from "./host.ts";

/** Connections the kernel holds until they are accepted: a thousand clients reconnecting at once must not be refused. Capped by somaxconn. */
const BACKLOG = 4096;

/**
 * Resolves with the port: another one than asked for when that was 0.
 * @param setting The one that names the port, for the error.
 * @throws MillraceError `unavailable`.
 */
export async function listen(server: Server, host: string, port: number, setting: string): Promise<number> {
  try {
    server.listen({ port, host: listenHost(host), backlog: BACKLOG });
    await once(server, "listening");
  } catch (cause) {
    throw cannotListen(host, port, setting, cause);
  }
  return (server.address() as AddressInfo).port;
}
