/** The HTTP contract on Node: `millrace up` as a process of its own, events published over its framed-TCP broker. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMint } from "../../bin/conformance/mint.ts";
import { createPublisher } from "../../bin/conformance/publishers.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { DRAIN_MS, describeHttpContract, type HttpServerUnderTest } from "../contracts/http.ts";
import { contractReadings } from "../contracts/http-readings.ts";
import { freePort, start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

const HEARTBEAT_MS = 1_000;
/** Not the companies of the demo producers: their streams are quiet but for what the checks publish. */
const COMPANY = "conformance-a";
const OTHER_COMPANY = "conformance-b";
const JWT_SECRET = "a secret of the tests, long enough for HS256";
const AUTH_TOKEN = "a token of the tests";
/** Seconds. */
const TOKEN_LIFE = 3_600;

const tokenOf = createMint({ JWT_SECRET });

async function startMillrace(settings: Record<string, string>): Promise<HttpServerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-contract-"));
  {
    await using telemetry = createSqliteTelemetry({ folder });
    await telemetry.write(contractReadings({ company: COMPANY, otherCompany: OTHER_COMPANY }));
  }
  const [port, brokerPort] = [await freePort(), await freePort()];
  const millrace = start(process.execPath, ["bin/millrace.ts", "up"], {
    env: {
      HOST: "127.0.0.1",
      PORT: String(port),
      TCP_PORT: String(brokerPort),
      HTTP_PORT: "0",
      DATA_DIR: folder,
      HEARTBEAT_MS: String(HEARTBEAT_MS),
      DRAIN_MS: String(DRAIN_MS),
      ...settings,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await millrace.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitFor("millrace to answer", async () => {
      if (millrace.child.exitCode !== null) throw new Error(millrace.output());
      const { status } = (await (await fetch(`${url}/stream/health`)).json()) as { status: string };
      return status === "disabled" || millrace.output().includes(`millrace ready ${url}`);
    });
  } catch (error) {
    await stop();
    throw new Error(`millrace up did not become ready: ${millrace.output()}`, { cause: error });
  }
  const tokens =
    settings.AUTH_MODE === "jwt"
      ? {
          token: await tokenOf(COMPANY, TOKEN_LIFE),
          otherToken: await tokenOf(OTHER_COMPANY, TOKEN_LIFE),
          mintToken: tokenOf,
          metricsToken: AUTH_TOKEN,
        }
      : {};
  return {
    target: {
      ...TARGET_DEFAULTS,
      ...tokens,
      url,
      company: COMPANY,
      otherCompany: OTHER_COMPANY,
      publisher: createPublisher(`tcp://127.0.0.1:${brokerPort}`),
      heartbeatMs: HEARTBEAT_MS,
    },
    async stop() {
      await millrace.stop();
      return millrace.child.exitCode;
    },
    [Symbol.asyncDispose]: stop,
  };
}

describeHttpContract({
  name: "Node",
  mode: "open",
  start: () => startMillrace({ AUTH_MODE: "none" }),
});
describeHttpContract({
  name: "Node",
  mode: "auth",
  start: () => startMillrace({ AUTH_MODE: "jwt", JWT_SECRET, AUTH_TOKEN }),
});
describeHttpContract({
  name: "Node",
  mode: "disabled",
  start: () => startMillrace({ STREAMING_ENABLED: "false", AUTH_MODE: "none" }),
});
