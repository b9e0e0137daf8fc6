/** Millrace on each runtime for the HTTP contract: a real process on a real Redis, over RESP or over REST. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { createMint } from "../../bin/conformance/mint.ts";
import { createPublisher } from "../../bin/conformance/publishers.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { DRAIN_MS, type HttpServerUnderTest } from "../contracts/http.ts";
import { start } from "../support/process.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { type ProcessRuntime, startRuntime } from "../support/runtimes.ts";
import { startRedis } from "../support/servers.ts";
import { startWorkerd } from "../support/workerd.ts";

const CLI = fileURLToPath(new URL("../../bin/millrace.ts", import.meta.url));
const HEARTBEAT_MS = 1_000;
const JWT_SECRET = "a secret of the tests, long enough for HS256";
/** Seconds. */
const TOKEN_LIFE = 3_600;

export interface ContractServer extends HttpServerUnderTest {
  readonly redisUrl: string;
  /** Of the process, for whoever makes its tokens. */
  readonly env: Readonly<Record<string, string>>;
}

export interface ContractServerOptions {
  readonly runtime: ProcessRuntime | "workerd";
  readonly store: "resp" | "rest";
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startContractServer(options: ContractServerOptions): Promise<ContractServer> {
  const { runtime, store, settings } = options;
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const env: Record<string, string> = {
    ...{ AUTH_MODE: "jwt", JWT_SECRET, LOG_LEVEL: "warn" },
    ...{ HEARTBEAT_MS: String(HEARTBEAT_MS), DRAIN_MS: String(DRAIN_MS), ...settings },
  };
  if (store === "resp") env.REDIS_URL = redis.url;
  else {
    const gateway = stack.use(await startRedisRest(redis.url));
    env.UPSTASH_REDIS_REST_URL = gateway.url;
    env.UPSTASH_REDIS_REST_TOKEN = gateway.token;
  }
  const server =
    runtime === "workerd"
      ? stack.use(await startWorkerd({ vars: env }))
      : stack.use(await startRuntime(runtime, env));
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
      mintToken,
      publisher: createPublisher(redis.url),
      heartbeatMs: HEARTBEAT_MS,
    },
    ...("stop" in server ? { stop: () => server.stop() } : {}),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a user sees who runs the kit against the runtime: the CLI as a process, with a publisher and with tokens it makes itself. */
export function itScoresFully({
  name,
  skip,
  ...options
}: ContractServerOptions & { readonly name: string; readonly skip: string | undefined }): void {
  it(`millrace conformance scores 100 % on ${name}`, { timeout: 90_000 }, async (context) => {
    if (skip !== undefined) context.skip(skip);
    await using server = await startContractServer(options);
    const { target, redisUrl, env } = server;
    const kit = start(
      process.execPath,
      [
        ...[CLI, "conformance", target.url, "--publish", redisUrl, "--mint", "--json"],
        ...["--heartbeat-ms", String(HEARTBEAT_MS)],
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
    expect(
      named("not-run").filter((line) => !/takes only JSON|streaming is not switched off/.test(line)),
    ).toEqual([]);
  });
}

interface Report {
  readonly score: { readonly percent: number };
  readonly checks: readonly { readonly id: string; readonly outcome: string; readonly detail: string }[];
}
