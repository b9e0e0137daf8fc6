/** The HTTP contract on the neutral parts alone: createApp with web streams, as every runtime but Node has it. */
import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Publisher } from "../../bin/conformance/publishers.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseEvent } from "../../functions/core/event.ts";
import { describeHttpContract, type HttpServerUnderTest } from "../contracts/http.ts";
import { startTestApp, token } from "./test-app.ts";

const HEARTBEAT_MS = 1_000;

async function start(STREAMING_ENABLED: boolean): Promise<HttpServerUnderTest> {
  const stack = new AsyncDisposableStack();
  const { app, log } = stack.use(
    await startTestApp({ settings: { STREAMING_ENABLED }, hub: { heartbeatMs: HEARTBEAT_MS } }),
  );
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  let published = 0;
  const publisher: Publisher = {
    name: "the log",
    carriesText: false,
    carriesAnyAttribute: true,
    async publish(companyId, events) {
      for (const { type, data, id = String(published++) } of events) {
        try {
          await log.append([parseEvent({ companyId, source: "/contract", id, type, dataText: data })]);
        } catch (error) {
          // A bridge would put it into the dead letters and go on.
          if (!(error instanceof MillraceError && error.code === "invalid-input")) throw error;
        }
      }
    },
    close: async () => {},
  };
  return {
    target: {
      ...TARGET_DEFAULTS,
      url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
      token: await token(),
      otherToken: await token({ companyId: TARGET_DEFAULTS.otherCompany }),
      publisher,
      heartbeatMs: HEARTBEAT_MS,
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describeHttpContract({ name: "web streams", mode: "auth", start: () => start(true) });
describeHttpContract({ name: "web streams", mode: "disabled", start: () => start(false) });
