/** What `millrace produce` calls: from plain options to messages on a broker. */

import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId, quote } from "../../functions/core/ids.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { connectProducer } from "../broker/client.ts";
import { readCsv } from "./csv.ts";
import { demoTelemetry } from "./dcgm.ts";
import { encodeBody, encodeCloudEvent, type Message, type Send } from "./message.ts";
import { demoMetrics } from "./metrics.ts";
import { connectNatsPublisher } from "./nats-publisher.ts";
import { produce } from "./produce.ts";

/** Bad rows logged one by one; the rest is only counted. */
const LOGGED_BAD_ROWS = 20;

export interface ProduceToOptions {
  /** Whose messages: one at least, except with `csvPath`, where it is one at most. */
  readonly companies: readonly string[];
  /** Which generator; not looked at with `csvPath`. */
  readonly useCase: "metrics" | "telemetry";
  /** A CSV file of telemetry instead of a generator. */
  readonly csvPath?: string | undefined;
  /** Messages a second; `Infinity`: as fast as the broker takes them. */
  readonly ratePerSecond: number;
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

/**
 * To a framed-TCP broker, as CloudEvents; rows of a file that name no company as they are.
 * @param options.addr `host:port`.
 * @throws MillraceError `invalid-input` for options that cannot be, `unavailable` when the broker is not there or goes away.
 */
export async function produceToBroker(options: ProduceToOptions & { addr: string }): Promise<Produced> {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:]+)\]|([^:]+)):(\d{1,5})$/.exec(options.addr) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw invalid(`Cannot produce to broker ${quote(options.addr)}: expected host:port`);
  }
  // A row that names no company is sent as it is: whose it is, is for a rule of the bridge to say.
  const encode = (message: Message) =>
    message.companyId === undefined ? encodeBody(message) : encodeCloudEvent(message);
  return run(options, async () => {
    const client = await connectProducer({ host, port: Number(port) });
    return { send: (message) => client.send(encode(message)), close: () => client.close() };
  });
}

/**
 * To NATS: the JSON bodies on their subjects.
 * @param options.url `nats://host:port`.
 * @throws MillraceError `invalid-input` for options that cannot be, `unavailable` when the server is not there or goes away.
 */
export async function produceToNats(options: ProduceToOptions & { url: string }): Promise<Produced> {
  return run(options, () => connectNatsPublisher(options.url));
}

interface Target {
  readonly send: Send;
  close(): Promise<void>;
}

async function run(options: ProduceToOptions, connect: () => Promise<Target>): Promise<Produced> {
  const { ratePerSecond, count, signal, logger } = options;
  if (!(ratePerSecond > 0)) {
    throw invalid(`Cannot produce at rate "${ratePerSecond}": expected messages a second, above 0`);
  }
  let skipped = 0;
  const messages = messagesOf(options, ({ line, reason }) => {
    if (skipped++ < LOGGED_BAD_ROWS) logger.warn({ path: options.csvPath, line, reason }, "Row skipped");
  });
  const target = await connect();
  let sent: number;
  try {
    sent = await produce({ messages, send: target.send, ratePerSecond, count, signal });
  } catch (error) {
    // The first error is the one to tell.
    await target.close().catch(() => {});
    throw error;
  }
  await target.close();
  if (skipped > 0) logger.warn({ path: options.csvPath, sent, skipped }, "Rows were skipped");
  return { sent, skipped };
}

function messagesOf(
  { companies, useCase, csvPath }: ProduceToOptions,
  onBadRow: Parameters<typeof readCsv>[0]["onBadRow"],
): Iterable<Message> | AsyncIterable<Message> {
  for (const company of companies) parseCompanyId(company);
  if (csvPath !== undefined) {
    if (companies.length > 1) {
      throw invalid(`Cannot produce from CSV for ${companies.length} companies: expected one at most`);
    }
    return readCsv({ path: csvPath, companyId: companies[0], onBadRow });
  }
  if (companies.length === 0) throw invalid("Cannot produce without a company: expected one or more");
  return useCase === "metrics" ? demoMetrics({ companies }) : demoTelemetry({ companies });
}

function invalid(message: string): MillraceError {
  return new MillraceError("invalid-input", message);
}
