/** Millrace on each runtime for the HTTP contract: a real process on a real Redis, over RESP or over REST. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { CHECKS } from "../../bin/conformance/checks/index.ts";
import { createMint } from "../../bin/conformance/mint.ts";
import { createPublisher } from "../../bin/conformance/publishers.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { openMongoTelemetry } from "../../functions/runtimes/node/open-mongodb.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { DRAIN_MS, type HttpServerUnderTest } from "../contracts/http.ts";
import { contractReadings } from "../contracts/http-readings.ts";
import { startMongoDb } from "../support/mongodb.ts";
import { start } from "../support/process.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { type ProcessRuntime, startRuntime, writePages } from "../support/runtimes.ts";
import { startRedis } from "../support/servers.ts";
import { startWorkerd } from "../support/workerd.ts";

const CLI = fileURLToPath(new URL("../../bin/millrace.ts", import.meta.url));
const HEARTBEAT_MS = 1_000;
const JWT_SECRET = "a secret of the tests, long enough for HS256";
const AUTH_TOKEN = "a token of the tests";
/** As workers/index-mongodb.ts says it is deployed. */
const WITH_MONGODB = { entry: "workers/index-mongodb.ts", flags: ["nodejs_compat"] };
/** Seconds. */
const TOKEN_LIFE = 3_600;

export interface ContractServer extends HttpServerUnderTest {
  readonly redisUrl: string;
  /** Of the process, for whoever makes its tokens. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where the readings are that the server shows: there before it starts, as nothing of the kit brings any. */
export type ContractTelemetry = "embedded" | "mongodb" | "none";

export interface ContractServerOptions {
  readonly runtime: ProcessRuntime | "workerd";
  readonly store: "resp" | "rest";
  /** Default `embedded`, in a DATA_DIR of its own; `none` on workerd, which has no disk. */
  readonly telemetry?: ContractTelemetry;
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startContractServer(options: ContractServerOptions): Promise<ContractServer> {
  const { runtime, store, settings } = options;
  const telemetry = telemetryOf(options);
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const env: Record<string, string> = {
    ...{ AUTH_MODE: "jwt", JWT_SECRET, AUTH_TOKEN, LOG_LEVEL: "warn" },
    ...{ HEARTBEAT_MS: String(HEARTBEAT_MS), DRAIN_MS: String(DRAIN_MS), ...settings },
  };
  if (store === "resp") env.REDIS_URL = redis.url;
  else {
    const gateway = stack.use(await startRedisRest(redis.url));
    env.UPSTASH_REDIS_REST_URL = gateway.url;
    env.UPSTASH_REDIS_REST_TOKEN = gateway.token;
  }
  Object.assign(env, await provideReadings(telemetry, stack));
  const server =
    runtime === "workerd"
      ? stack.use(await startWorkerd({ ...(telemetry === "mongodb" ? WITH_MONGODB : {}), vars: env }))
      : stack.use(await writePages().then(() => startRuntime(runtime, env)));
  const mintToken = createMint({ JWT_SECRET });
  const { company, otherCompany } = TARGET_DEFAULTS;
  const owned = stack.move();
  return {
    redisUrl: redis.url,
    env,
    target: {
      ...TARGET_DEFAULTS,
      url: server.url,
      token: await mintToken(company, TOKEN_LIFE),
      otherToken: await mintToken(otherCompany, TOKEN_LIFE),
      metricsToken: AUTH_TOKEN,
      mintToken,
      publisher: createPublisher(redis.url),
      heartbeatMs: HEARTBEAT_MS,
    },
    ...("stop" in server ? { stop: () => server.stop() } : {}),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const telemetryOf = ({ runtime, telemetry }: ContractServerOptions): ContractTelemetry =>
  telemetry ?? (runtime === "workerd" ? "none" : "embedded");

/** Resolves with the settings of a store that holds readings of both companies, an hour old. */
async function provideReadings(
  telemetry: ContractTelemetry,
  stack: AsyncDisposableStack,
): Promise<Record<string, string>> {
  if (telemetry === "none") return {};
  const folder = mkdtempSync(join(tmpdir(), "millrace-contract-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  if (telemetry === "embedded") {
    await using store = createSqliteTelemetry({ folder });
    await store.write(contractReadings(TARGET_DEFAULTS));
    return { DATA_DIR: folder };
  }
  const server = stack.use(await startMongoDb());
  const settings = {
    MONGODB_URI: server.url,
    MONGODB_DATABASE: server.database(),
    MONGO_COLLECTION: "metrics",
  };
  await using store = openMongoTelemetry({ settings });
  await store.write(contractReadings(TARGET_DEFAULTS));
  return settings;
}

export interface ScoreOptions extends ContractServerOptions {
  readonly name: string;
  readonly skip: string | undefined;
  /** Ids of checks there is nothing for. Default none. */
  readonly lacks?: readonly string[];
}

/** What a user sees who runs the kit against the runtime: the CLI as a process, with a publisher and with tokens it makes itself. */
export function itScoresFully({ name, skip, lacks = [], ...options }: ScoreOptions): void {
  it(`millrace conformance scores 100 % on ${name}`, { timeout: 90_000 }, async (context) => {
    if (skip !== undefined) context.skip(skip);
    await using server = await startContractServer(options);
    const { target, redisUrl, env } = server;
    const ids = CHECKS.map(({ id }) => id).filter((id) => !lacks.includes(id));
    const kit = start(
      process.execPath,
      [
        ...[CLI, "conformance", target.url, "--publish", redisUrl, "--mint", "--json"],
        ...["--heartbeat-ms", String(HEARTBEAT_MS), "--metrics-token", AUTH_TOKEN],
        ...["--only", ids.join(",")],
      ],
      { env: { JWT_SECRET: env.JWT_SECRET! } },
    );
    await new Promise((resolve) => kit.child.once("close", resolve));
    await target.publisher?.close();
    const report = JSON.parse(kit.output()) as Report;
    const named = (outcome: string) =>
      report.checks.filter((check) => check.outcome === outcome).map(({ id, detail }) => `${id}: ${detail}`);
    expect(named("fail")).toEqual([]);
    expect(report.score.percent).toBe(100);
    expect(kit.child.exitCode).toBe(0);
    const expected = /takes only JSON|streaming is not switched off/;
    const unseen = telemetryOf(options) === "none" ? /has no telemetry store/ : /^$/;
    expect(named("not-run").filter((line) => !expected.test(line) && !unseen.test(line))).toEqual([]);
  });
}

interface Report {
  readonly score: { readonly percent: number };
  readonly checks: readonly { readonly id: string; readonly outcome: string; readonly detail: string }[];
}
