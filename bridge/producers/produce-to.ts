/** What `millrace produce` calls: from plain options to messages on a broker. */
import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import type { Logger } from "../../functions/core/logger.ts";
import type { BrokerSettings } from "../config/kind.ts";
import { readCsv } from "./csv.ts";
import type { Message } from "./message.ts";
import { type ProduceOptions, produce } from "./produce.ts";
import { BROKERS, type BrokerName, USE_CASES, type UseCaseName } from "./use-cases.ts";

/** Bad rows logged one by one; the rest is only counted. */
const LOGGED_BAD_ROWS = 20;
const NOBODYS =
  "Rows name no company, nor does --company: millrace up takes them for acme's where it asks nobody for a token; else it and millrace bridge put them into the dead letters unless their source has a rule such as company: { value: acme }";

export interface ProduceToOptions {
  /** Default the use case's own broker where a setting names it, else the framed-TCP broker. */
  readonly to?: BrokerName | undefined;
  /** The settings that name the brokers. */
  readonly settings: BrokerSettings;
  /** Whose messages: one at least, except with `csvPath`, where it is one at most, and of `services`, which belong to no tenant. */
  readonly companies: readonly string[];
  /** With `csvPath`, `telemetry`. */
  readonly useCase: UseCaseName;
  /** A CSV file of telemetry instead of a generator. */
  readonly csvPath?: string | undefined;
  /** Messages a second; `Infinity`: as fast as the broker takes them. */
  readonly ratePerSecond: number;
  /** As of `produce`. */
  readonly pace?: ProduceOptions["pace"];
  /** Messages to send; undefined: a generator goes on until the signal aborts, a file to its end. */
  readonly count?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly logger: Logger;
}

export interface Produced {
  readonly sent: number;
  /** Bad rows of the CSV file. */
  readonly skipped: number;
}

/** @throws MillraceError `invalid-input` for options that cannot be, and as the broker's publisher when it is not there or goes away. */
export async function produceTo(options: ProduceToOptions): Promise<Produced> {
  const { settings, ratePerSecond, pace, count, signal, logger } = options;
  if (!(ratePerSecond > 0)) {
    throw invalid(`Cannot produce at rate "${ratePerSecond}": expected messages a second, above 0`);
  }
  let skipped = 0;
  const messages = messagesOf(options, ({ line, reason }) => {
    if (skipped++ < LOGGED_BAD_ROWS) logger.warn({ path: options.csvPath, line, reason }, "Row skipped");
  });
  const broker = BROKERS[brokerOf(options)];
  const target = await broker.connect(settings, logger);
  let sent: number;
  try {
    sent = await produce({ messages, send: target.send, ratePerSecond, pace, count, signal });
  } catch (error) {
    // The first error is the one to tell.
    await target.close().catch(() => {});
    throw error;
  }
  await target.close();
  if (skipped > 0) logger.warn({ path: options.csvPath, sent, skipped }, "Rows were skipped");
  return { sent, skipped };
}

function brokerOf({ useCase, csvPath, to, settings }: ProduceToOptions): BrokerName {
  const what = csvPath === undefined ? useCase : "a CSV file";
  const own = csvPath === undefined ? USE_CASES[useCase].broker : "tcp";
  const isNamed = (name: BrokerName) => BROKERS[name].settings.some((setting) => settings[setting]);
  const chosen = to ?? (isNamed(own) ? own : "tcp");
  if (chosen !== own && chosen !== "tcp") {
    const expected = own === "tcp" ? "--to tcp" : `--to ${own} or --to tcp`;
    throw invalid(`Cannot produce ${what} to ${BROKERS[chosen].title}: expected ${expected}`);
  }
  if (isNamed(chosen)) return chosen;
  const { title, settings: names, example } = BROKERS[chosen];
  const other = chosen === own ? "" : ` (or ${BROKERS[own].settings.join(" or ")}: ${BROKERS[own].title})`;
  const unset = `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} unset`;
  throw invalid(`Cannot produce ${what} to ${title}: ${unset}, expected ${example}${other}`);
}

function messagesOf(
  { companies, useCase, csvPath, logger }: ProduceToOptions,
  onBadRow: Parameters<typeof readCsv>[0]["onBadRow"],
): Iterable<Message> | AsyncIterable<Message> {
  for (const company of companies) parseCompanyId(company);
  if (csvPath !== undefined) {
    if (useCase !== "telemetry") {
      throw invalid(
        `Cannot produce ${useCase} from a CSV file: --csv is telemetry, expected one or the other`,
      );
    }
    if (companies.length > 1) {
      throw invalid(`Cannot produce from CSV for ${companies.length} companies: expected one at most`);
    }
    return sayWhose(readCsv({ path: csvPath, companyId: companies[0], onBadRow }), logger);
  }
  const { generate, company } = USE_CASES[useCase] as { company?: string } & (typeof USE_CASES)[UseCaseName];
  if (company !== undefined) {
    if (companies.length === 0) return generate({ companies: [company] });
    throw invalid(`Cannot produce ${useCase} for a company: they are the operator's, expected no --company`);
  }
  if (companies.length === 0) throw invalid("Cannot produce without a company: expected one or more");
  return generate({ companies });
}

/** Warns before the first row that names no company: what becomes of it is not the producer's to say. */
async function* sayWhose(rows: AsyncIterable<Message>, logger: Logger): AsyncGenerator<Message> {
  let isSaid = false;
  for await (const row of rows) {
    if (!isSaid && row.companyId === undefined && !row.body.companyId) {
      isSaid = true;
      logger.warn({}, NOBODYS);
    }
    yield row;
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError("invalid-input", message);
}
