/** `millrace produce`: generated messages, or the rows of a CSV file, to a broker. */
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type Produced,
  type ProduceToOptions,
  produceToBroker,
  produceToNats,
} from "../../bridge/producers/produce-to.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { type Context, helpSettings, openContext } from "../context.ts";

const USE_CASES = ["metrics", "telemetry"] as const;
const TARGETS = ["nats", "tcp"] as const;

interface ProduceOptions {
  /** Default metrics. */
  readonly useCase?: (typeof USE_CASES)[number];
  readonly company?: readonly string[];
  /** Messages a second. */
  readonly rate: number;
  readonly count?: number;
  /** Path; default CSV_PATH, unless a use case is named. */
  readonly csv?: string;
  /** Default: NATS for metrics when NATS_URL is set, else the framed-TCP broker. */
  readonly to?: (typeof TARGETS)[number];
}

/** Resolves when all is sent or the signal has aborted. */
async function runProduce(
  { settings, logger, print, signal }: Context,
  options: ProduceOptions,
): Promise<void> {
  const { company = [], rate, count, useCase } = options;
  const csvPath = options.csv ?? (useCase === undefined ? settings.CSV_PATH : undefined);
  if (csvPath !== undefined && useCase === "metrics") {
    throw usage("Cannot produce metrics from a CSV file: --csv is telemetry, expected one or the other");
  }
  const to =
    options.to ??
    (csvPath === undefined && useCase !== "telemetry" && settings.NATS_URL !== undefined ? "nats" : "tcp");
  const { sent, skipped } = await send(settings, to, {
    ...{ companies: company, useCase: useCase ?? "metrics", csvPath, ratePerSecond: rate, count },
    ...{ signal, logger },
  });
  print(`sent ${sent} messages${skipped > 0 ? `, skipped ${skipped} bad rows` : ""}`);
}

function send(
  { NATS_URL, BROKER_ADDR }: Settings,
  to: (typeof TARGETS)[number],
  options: ProduceToOptions,
): Promise<Produced> {
  if (to === "nats") {
    if (options.csvPath !== undefined || options.useCase === "telemetry") {
      throw usage(
        "Cannot produce telemetry to NATS: the bridge's NATS source does not read it, expected --to tcp",
      );
    }
    if (NATS_URL !== undefined) return produceToNats({ ...options, url: NATS_URL });
    throw usage("Cannot produce to NATS: NATS_URL is unset, expected a URL such as nats://127.0.0.1:4222");
  }
  if (BROKER_ADDR !== undefined) return produceToBroker({ ...options, addr: BROKER_ADDR });
  throw usage(
    "Cannot produce to the framed-TCP broker: BROKER_ADDR is unset, expected host:port such as 127.0.0.1:9080, where npm start has one",
  );
}

function usage(message: string): MillraceError {
  return new MillraceError("invalid-input", message);
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("Expected a number above 0.");
}

function whole(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a whole number above 0.");
}

export function addProduceCommand(program: Command): void {
  const command = program
    .command("produce")
    .description("send demo messages, or the rows of a CSV file, to a message broker")
    .addOption(new Option("--use-case <name>", "what to send (default: metrics)").choices(USE_CASES))
    .option("--company <id>", "whose messages; may be repeated, they take turns", collect)
    .option("--rate <n>", "messages a second; Infinity: as fast as they are taken", positive, 10)
    .option("--count <n>", "messages to send (default: until stopped; a file: to its end)", whole)
    .option("--csv <file>", "rows of DCGM telemetry instead of generated messages (default: CSV_PATH)")
    .addOption(
      new Option(
        "--to <broker>",
        "nats (NATS_URL) or tcp (BROKER_ADDR) (default: nats for metrics when NATS_URL is set, else tcp)",
      ).choices(TARGETS),
    )
    .action((options: ProduceOptions) => runProduce(openContext(), options));
  helpSettings(command, ["NATS_URL", "BROKER_ADDR", "CSV_PATH"]);
}

/** For an option that may be repeated. */
export function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}
