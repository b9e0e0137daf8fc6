/** `millrace produce`: generated messages, or the rows of a CSV file, to a message broker. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { produceTo } from "../../bridge/producers/produce-to.ts";
import { BROKERS, type BrokerName, USE_CASES, type UseCaseName } from "../../bridge/producers/use-cases.ts";
import { type Context, helpSettings, openContext, SOURCE_SETTINGS } from "../context.ts";

/** Messages a second, to be watched as they come. */
const RATE = 10;
/** Rows of a file a second: nobody watches them, and a broker that broadcasts drops what a consumer cannot follow. */
const FILE_RATE = 1000;

interface ProduceOptions {
  /** Default metrics. */
  readonly useCase?: UseCaseName;
  readonly company?: readonly string[];
  /** Messages a second. */
  readonly rate?: number;
  readonly count?: number;
  /** Path; default CSV_PATH, unless a use case is named. */
  readonly csv?: string;
  readonly to?: BrokerName;
}

/** Resolves when all is sent or the signal has aborted. */
async function runProduce(
  { settings, logger, print, signal }: Context,
  { company = [], rate, count, useCase, csv, to }: ProduceOptions,
): Promise<void> {
  const csvPath = csv ?? (useCase === undefined ? settings.CSV_PATH : undefined);
  const ratePerSecond = rate ?? (csvPath === undefined ? RATE : FILE_RATE);
  const { sent, skipped } = await produceTo({
    ...{ to, settings, companies: company, csvPath, ratePerSecond, count, signal, logger },
    useCase: useCase ?? (csvPath === undefined ? "metrics" : "telemetry"),
  });
  print(`sent ${sent} messages${skipped > 0 ? `, skipped ${skipped} bad rows` : ""}`);
}

/** What goes where, for the help. */
function targets(): string {
  const rows = Object.entries(USE_CASES).map(([useCase, { broker }]) => {
    const { title, settings } = BROKERS[broker];
    return `  ${useCase.padEnd(10)} ${broker.padEnd(9)} ${title} (${settings.join(" or ")})`;
  });
  return `\nUse cases and the broker of each, taken when its setting is there; else, and with --to tcp, it is the framed-TCP broker:\n${rows.join("\n")}`;
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
    .addOption(
      new Option("--use-case <name>", "what to send (default: metrics)").choices(Object.keys(USE_CASES)),
    )
    .option("--company <id>", "whose messages; may be repeated, they take turns", collect)
    .option(
      "--rate <n>",
      `messages a second; Infinity: as fast as they are taken (default: ${RATE}, of a file ${FILE_RATE})`,
      positive,
    )
    .option("--count <n>", "messages to send (default: until stopped; a file: to its end)", whole)
    .option("--csv <file>", "rows of DCGM telemetry instead of generated messages (default: CSV_PATH)")
    .addOption(new Option("--to <broker>", "where to (default: see below)").choices(Object.keys(BROKERS)))
    .action((options: ProduceOptions) => runProduce(openContext(), options))
    .addHelpText("after", targets());
  helpSettings(command, [...SOURCE_SETTINGS, "CSV_PATH"]);
}

/** For an option that may be repeated. */
export function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}
