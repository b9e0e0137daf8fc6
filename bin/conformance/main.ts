/** `millrace conformance URL`: the checks against any server. */
import { type Command, Option } from "commander";
import { createMint } from "./mint.ts";
import { createPublisher } from "./publishers.ts";
import { jsonReport, scoreOf, textReport } from "./report.ts";
import { prepare, runChecks } from "./run.ts";
import { type Profile, TARGET_DEFAULTS, type Target } from "./target.ts";

/** What the command line gives, before it is checked. */
export interface ConformanceOptions {
  readonly url: string;
  readonly company?: string;
  readonly otherCompany?: string;
  readonly token?: string;
  readonly otherToken?: string;
  /** AUTH_TOKEN of the server. */
  readonly metricsToken?: string;
  /** Makes the tokens with JWT_SECRET. */
  readonly mint?: boolean;
  /** `tcp://host:port`, `redis://…`, or an HTTP URL with `{company}` and, where it has one, `{type}`. */
  readonly publish?: string;
  readonly streamPath?: string;
  readonly companyParam?: string;
  readonly lastIdParam?: string;
  readonly profile?: Profile;
  /** Milliseconds. */
  readonly heartbeatMs?: number;
  /** Seconds. */
  readonly patience?: number;
  /** Areas or ids; all when empty. */
  readonly only?: readonly string[];
  readonly json?: boolean;
}

/** The whole run takes no longer than this and what was begun. */
const BUDGET_MS = 60_000;
/** Longer than any run. */
const TOKEN_SECONDS = 3_600;

/** Runs and prints. Resolves with 0, 1 when a MUST failed or the server cannot be reached, 2 on bad usage. */
export async function runConformance(
  options: ConformanceOptions,
  print: (text: string) => void = console.log,
): Promise<number> {
  let target: Target;
  try {
    target = await targetOf(options);
  } catch (error) {
    print(error instanceof Error ? error.message : String(error));
    return 2;
  }
  try {
    const session = await prepare(target);
    const only = options.only ?? [];
    const checks = session.checks.filter(
      ({ id, area }) => only.length === 0 || only.includes(id) || only.includes(area),
    );
    if (checks.length === 0) {
      const areas = [...new Set(session.checks.map(({ area }) => area))].join(", ");
      print(`Cannot run --only ${only.join(",")}: no such check, expected ids or areas (${areas})`);
      return 2;
    }
    const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
    const progress = colour && !options.json;
    const results = await runChecks(session, checks, {
      budgetMs: BUDGET_MS,
      onResult: ({ check }) => {
        if (progress) process.stderr.write(`\r\x1b[K${check.id}`);
      },
    });
    if (progress) process.stderr.write("\r\x1b[K");
    print(options.json ? jsonReport(session, results) : textReport(session, results, colour));
    const { MUST, percent } = scoreOf(results);
    return MUST.failed > 0 || percent === undefined ? 1 : 0;
  } catch (error) {
    print(`Cannot check ${target.url}: ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    await target.publisher?.close();
  }
}

/** @throws Error in words for the user. */
async function targetOf(options: ConformanceOptions): Promise<Target> {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol) || url.search || url.hash) {
    throw new Error(
      `Cannot check "${options.url}": expected an http:// or https:// URL without a query (see --stream-path)`,
    );
  }
  const { patience, publish, company, otherCompany, streamPath, ...rest } = options;
  if (patience !== undefined && !(patience >= 1 && patience <= 600)) {
    throw new Error(`Cannot use --patience ${patience}: expected 1 to 600 seconds`);
  }
  if (streamPath !== undefined && !streamPath.startsWith("/")) {
    throw new Error(`Cannot use --stream-path "${streamPath}": expected a path that begins with /`);
  }
  const own = company ?? TARGET_DEFAULTS.company;
  const other = otherCompany ?? (own === TARGET_DEFAULTS.otherCompany ? TARGET_DEFAULTS.company : undefined);
  const otherOne = other ?? TARGET_DEFAULTS.otherCompany;
  const mintToken = options.mint ? createMint(process.env) : undefined;
  const target: Target = {
    ...TARGET_DEFAULTS,
    url: options.url,
    company: own,
    otherCompany: otherOne,
    streamPath: streamPath ?? TARGET_DEFAULTS.streamPath,
    companyParam: rest.companyParam ?? TARGET_DEFAULTS.companyParam,
    lastIdParam: rest.lastIdParam ?? TARGET_DEFAULTS.lastIdParam,
    token: rest.token ?? (await mintToken?.(own, TOKEN_SECONDS)),
    otherToken: rest.otherToken ?? (await mintToken?.(otherOne, TOKEN_SECONDS)),
    metricsToken: rest.metricsToken,
    mintToken,
    profile: rest.profile,
    heartbeatMs: rest.heartbeatMs ?? TARGET_DEFAULTS.heartbeatMs,
    patienceMs: patience === undefined ? TARGET_DEFAULTS.patienceMs : patience * 1_000,
    publisher: publish === undefined ? undefined : createPublisher(publish),
  };
  if (target.company === target.otherCompany) {
    throw new Error(`Cannot use --other-company "${target.otherCompany}": expected another than --company`);
  }
  return target;
}

/** Adds the command to the CLI. Sets the exit code. */
export function addConformanceCommand(program: Command): void {
  program
    .command("conformance")
    .description(
      "check any server-sent events server against the standards, and Millrace against its protocol",
    )
    .argument("<url>", "origin of the server, such as http://127.0.0.1:8787")
    .option("--company <id>", "company whose stream is opened", TARGET_DEFAULTS.company)
    .option("--other-company <id>", "company whose events must never be seen (default: globex)")
    .option("--token <jwt>", "bearer token that may read the company and not the other")
    .option("--other-token <jwt>", "bearer token that may read the other company")
    .option("--metrics-token <token>", "AUTH_TOKEN of the server, which the metrics API asks for")
    .option("--mint", "make the tokens with JWT_SECRET of the environment; looks at tokens that end too")
    .option(
      "--publish <address>",
      "how events are made to appear: tcp://host:port (framed-TCP broker), redis://host:port (the event log itself) or an HTTP URL with {company} and {type} (default: only what happens by itself is looked at)",
    )
    .option(
      "--stream-path <path>",
      "path of the stream; {company} in it is filled in",
      TARGET_DEFAULTS.streamPath,
    )
    .option("--company-param <name>", "query parameter of the company", TARGET_DEFAULTS.companyParam)
    .option("--last-id-param <name>", "query parameter of the cursor", TARGET_DEFAULTS.lastIdParam)
    .addOption(
      new Option("--profile <name>", "what is asked of the server (default: by /stream/health)").choices([
        "sse",
        "millrace",
      ]),
    )
    .option("--heartbeat-ms <ms>", "longest silence allowed on a stream", Number, TARGET_DEFAULTS.heartbeatMs)
    .option("--patience <seconds>", "longest wait of one check", Number, TARGET_DEFAULTS.patienceMs / 1_000)
    .option("--only <names>", "areas or ids of checks, separated by commas", (text) => text.split(","))
    .option("--json", "report as JSON")
    .action(async (url: string, options: Omit<ConformanceOptions, "url">) => {
      process.exitCode = await runConformance({ ...options, url });
    });
}
