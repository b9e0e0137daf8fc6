/** The HTTP contract on the neutral parts alone: createApp with web streams, as every runtime but Node has it. */
import type { Publisher } from "../../bin/conformance/publishers.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseEvent } from "../../functions/core/event.ts";
import { buildPages } from "../../web/build.ts";
import { describeHttpContract, type HttpServerUnderTest } from "../contracts/http.ts";
import { contractReadings } from "../contracts/http-readings.ts";
import { AUTH_TOKEN, token } from "./test-app.ts";
import { startTestServer } from "./test-server.ts";

const HEARTBEAT_MS = 1_000;

const tokenOf = (companyId: string, seconds = 3_600): Promise<string> =>
  token({ companyId, sub: "conformance" }, Math.floor(Date.now() / 1000) + seconds);

async function start(STREAMING_ENABLED: boolean): Promise<HttpServerUnderTest> {
  const test = await startTestServer({
    settings: { STREAMING_ENABLED },
    heartbeatMs: HEARTBEAT_MS,
    deps: { pages: await buildPages() },
  });
  await test.telemetry.write(contractReadings(TARGET_DEFAULTS));
  let published = 0;
  const publisher: Publisher = {
    name: "the log",
    carriesText: false,
    carriesAnyAttribute: true,
    async publish(companyId, events) {
      const parsed = events.flatMap(({ type, data, id = String(published++) }) => {
        try {
          return [parseEvent({ companyId, source: "/contract", id, type, dataText: data })];
        } catch (error) {
          // A bridge would put it into the dead letters and go on.
          if (error instanceof MillraceError && error.code === "invalid-input") return [];
          throw error;
        }
      });
      // All at once: each append is a write to disk that holds up the server, which is in this process, and its timers.
      await test.log.append(parsed);
    },
    close: async () => {},
  };
  return {
    target: {
      ...TARGET_DEFAULTS,
      url: test.url,
      token: await tokenOf(TARGET_DEFAULTS.company),
      otherToken: await tokenOf(TARGET_DEFAULTS.otherCompany),
      metricsToken: AUTH_TOKEN,
      mintToken: tokenOf,
      publisher,
      heartbeatMs: HEARTBEAT_MS,
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

const neutral = { name: "web streams", compresses: false, drains: false };
describeHttpContract({ ...neutral, mode: "auth", start: () => start(true) });
describeHttpContract({ ...neutral, mode: "disabled", start: () => start(false) });
