/** The test app behind a real server, WebSockets included: for what only shows on the wire. */
import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { createWebSockets } from "../../functions/runtimes/node/web-sockets.ts";
import { silent } from "../support/logger.ts";
import { startTestApp } from "./test-app.ts";

/** `heartbeatMs`: of streams and WebSockets. */
export async function startTestServer({
  heartbeatMs = 60_000,
  ...options
}: Parameters<typeof startTestApp>[0] & { heartbeatMs?: number } = {}) {
  await using stack = new AsyncDisposableStack();
  const webSockets = stack.use(createWebSockets({ heartbeatMs, logger: silent }));
  const test = stack.use(
    await startTestApp({
      ...options,
      hub: { heartbeatMs, ...options.hub },
      counters: { heartbeatMs, ...options.counters },
      openWebSocket: webSockets.open,
    }),
  );
  const server = createAdaptorServer({
    fetch: test.app.fetch,
    serverOptions: { shouldUpgradeCallback: webSockets.isWanted },
  }) as Server;
  webSockets.attach(server, test.app.fetch);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const owned = stack.move();
  return {
    ...test,
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;
