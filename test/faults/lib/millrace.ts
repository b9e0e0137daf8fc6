/** Millrace's own processes as a test of faults needs them: killed, stopped and started again, each by its id. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { type RunningProcess, start } from "../../support/process.ts";
import { waitFor } from "../../support/wait.ts";

export const CLI = fileURLToPath(new URL("../../../bin/millrace.ts", import.meta.url));
const JWT_SECRET = "a secret of the tests, long enough for HS256";
/** What the machine's own environment says is not for these processes. */
const NOTHING_SET = {
  ...{ REDIS_URL: "", NATS_URL: "", BROKER_ADDR: "", JWKS_URL: "", JWT_ISSUER: "", JWT_AUDIENCE: "" },
  ...{ AMQP_URL: "", MQ_HOST: "", MQ_CCDT: "", MQ_TLS_CIPHER: "" },
  ...{ MONGODB_URI: "", AUTH_TOKEN: "", CSV_PATH: "", UPSTASH_REDIS_REST_URL: "" },
  ...{ AUTH_MODE: "jwt", HOST: "127.0.0.1", BRIDGE_PORT: "0", JWT_SECRET, LOG_LEVEL: "info" },
};

/** The store's REDIS_URL would turn this one on, and what is counted here is the sources of the test. */
const NO_CHANNELS = { name: "redis-pubsub", kind: "redis-pubsub", enabled: false };

/** A token that may read these companies. */
export function mintToken(...companies: string[]): Promise<string> {
  return new SignJWT({ companies })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("faults")
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(JWT_SECRET));
}

function run(command: string, env: Record<string, string>, args: readonly string[] = []): RunningProcess {
  return start(process.execPath, [CLI, command, ...args], { env: { ...NOTHING_SET, ...env } });
}

/** Waits for a pattern in what the process prints. @throws what it printed when it ended instead. */
function printed(what: string, child: RunningProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return waitFor(what, () => {
    const found = pattern.exec(child.output());
    if (!found && child.child.exitCode !== null) throw new Error(child.output());
    return found ?? undefined;
  });
}

export interface Instance extends AsyncDisposable {
  readonly url: string;
  readonly process: RunningProcess;
  /** A value of /metrics; of a metric with labels the sum. */
  metric(name: string): Promise<number>;
}

/** `millrace serve`, ready. */
export async function startServe(env: Record<string, string>): Promise<Instance> {
  const child = run("serve", { PORT: "0", ...env });
  try {
    const url = (await printed("millrace serve to be ready", child, /^millrace ready (\S+)$/m))[1]!;
    return {
      url,
      process: child,
      metric: async (name) => (await readMetrics(url))(name),
      [Symbol.asyncDispose]: () => child.stop("SIGKILL"),
    };
  } catch (error) {
    await child.stop("SIGKILL");
    throw error;
  }
}

/** Values by their names; of a metric with labels the sum. */
async function readMetrics(url: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return (name) => {
    const values = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  };
}

/** Since the process began. */
export interface SourceCounts {
  readonly received: number;
  readonly appended: number;
  readonly duplicates: number;
  readonly retries: number;
  readonly reconnects: number;
}

export interface BridgeProcess extends AsyncDisposable {
  output(): string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Another process with the same configuration. */
  start(): void;
  /** Resolves when every source of the process has been connected so many times. */
  connected(times?: number): Promise<void>;
  /** Counts of the sources of the process that runs now, all as of one moment. */
  counts(): Promise<SourceCounts>;
}

/** `millrace bridge` with this bridge.yaml, its sources connected. */
export async function startBridge(
  redisUrl: string,
  sources: readonly object[],
  env: Record<string, string> = {},
): Promise<BridgeProcess> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bridge-"));
  const config = join(folder, "bridge.yaml");
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ sources: [...sources, NO_CHANNELS] }));
  let current: RunningProcess;
  const bridge: BridgeProcess = {
    output: () => current.output(),
    kill: () => current.stop("SIGKILL"),
    start() {
      current = run("bridge", { ...env, REDIS_URL: redisUrl }, ["--config", config]);
    },
    async connected(times = 1) {
      const isConnected = () => {
        if (current.child.exitCode !== null) throw new Error(current.output());
        return current.output().split('"Source is up').length > times * sources.length;
      };
      await waitFor("the bridge to be connected", isConnected, { timeoutMs: 30_000 });
    },
    async counts() {
      const [, url] = await printed("its probes", current, /"url":"([^"]+)"[^\n]*Probes and metrics/);
      const metrics = await readMetrics(url!);
      const [received, appended, duplicates, retries, reconnects] = [
        ...["received", "appended", "duplicates", "retries", "reconnects"],
      ].map((name) => metrics(`millrace_source_${name}_total`)) as [number, number, number, number, number];
      return { received, appended, duplicates, retries, reconnects };
    },
    async [Symbol.asyncDispose]() {
      await current.stop("SIGKILL");
      rmSync(folder, { recursive: true });
    },
  };
  bridge.start();
  try {
    await bridge.connected();
  } catch (error) {
    const output = bridge.output();
    await bridge[Symbol.asyncDispose]();
    throw new Error(output, { cause: error });
  }
  return bridge;
}

interface BrokerProcess extends AsyncDisposable {
  readonly port: number;
  output(): string;
  stats(): Promise<{
    producers: number;
    consumers: number;
    messagesIn: number;
    messagesOut: number;
    buffered: number;
    unacked: number;
  }>;
}

/** `millrace broker`. */
export async function startBroker(deliveryMode: "broadcast" | "queue"): Promise<BrokerProcess> {
  const child = run("broker", { TCP_PORT: "0", HTTP_PORT: "0", DELIVERY_MODE: deliveryMode });
  try {
    const [, port] = await printed("the broker", child, /^millrace ready tcp:\/\/127\.0\.0\.1:(\d+)$/m);
    const [, httpPort] = await printed("its health port", child, /"httpPort":(\d+)/);
    return {
      port: Number(port),
      output: child.output,
      stats: async () => (await fetch(`http://127.0.0.1:${httpPort}/health`)).json() as never,
      [Symbol.asyncDispose]: () => child.stop("SIGKILL"),
    };
  } catch (error) {
    await child.stop("SIGKILL");
    throw error;
  }
}

/** A source of bridge.yaml: everything of the stream that `openJetStream` makes. */
export const jetStreamSource = (url: string) => ({
  ...{ name: "jetstream", kind: "nats", url, subjects: ["metrics.*"] },
  // The shortest there is: what a killed bridge held comes again after a second.
  jetstream: { stream: "METRICS", durable: "millrace", ackWaitMs: 1000 },
});
export const coreNatsSource = (url: string) => ({ name: "core", kind: "nats", url, subjects: ["metrics.*"] });
export const framedTcpSource = (port: number) => ({
  ...{ name: "tcp", kind: "framed-tcp", address: `127.0.0.1:${port}` },
  type: { value: "metric_updated" },
});
