/** A CSV file of DCGM telemetry as messages, one a row, read as they are sent. */
import { hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import { parseRow } from "../../functions/core/reading.ts";
import { readRecords } from "./csv-records.ts";
import { DCGM_COLUMNS, TELEMETRY_SUBJECT } from "./dcgm-row.ts";
import type { Message } from "./message.ts";

/** A row that was skipped. */
export interface BadRow {
  /** Where it begins; the header is line 1. */
  readonly line: number;
  readonly reason: string;
}

export interface CsvOptions {
  readonly path: string;
  /** Whose rows they are; undefined: the messages do not say. */
  readonly companyId: string | undefined;
  readonly onBadRow: (row: BadRow) => void;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/**
 * The rows as JSON bodies: text as it came, `value` as a number where it is one, further columns kept. Bad rows are reported and
 * skipped. Memory is bounded, whatever the file.
 * @throws MillraceError `invalid-input` when the file cannot be read, or naming every column its header lacks.
 */
export async function* readCsv({ path, companyId, onBadRow }: CsvOptions): AsyncGenerator<Message> {
  let header: readonly string[] | undefined;
  for await (const record of readRecords(readText(path))) {
    if (!header) {
      header = parseHeader(path, "fields" in record ? record.fields : [record.reason]);
      continue;
    }
    const reason = "reason" in record ? record.reason : problemOf(record.fields, header, companyId);
    if (reason !== undefined || "reason" in record) {
      onBadRow({ line: record.line, reason: reason ?? "" });
      continue;
    }
    const row = Object.fromEntries(header.map((name, column) => [name, record.fields[column] ?? ""]));
    const values = { ...row, value: parseValue(row.value ?? "") };
    const body = companyId === undefined ? values : { companyId, ...values };
    const text = JSON.stringify(body);
    const refusal = refusalOf(text);
    if (refusal !== undefined) {
      onBadRow({ line: record.line, reason: refusal });
      continue;
    }
    yield {
      // Its content: a row that is sent again, in whatever run, is the same event.
      id: hash("sha256", text, "base64url"),
      source: "/csv",
      subject: TELEMETRY_SUBJECT,
      time: row.timestamp ?? "",
      companyId,
      body,
    };
  }
  if (!header) parseHeader(path, []);
}

async function* readText(path: string): AsyncGenerator<string> {
  try {
    let first = true;
    for await (const chunk of createReadStream(path, "utf8")) {
      yield first ? String(chunk).replace(/^\ufeff/, "") : String(chunk);
      first = false;
    }
  } catch (cause) {
    throw new MillraceError(
      "invalid-input",
      `Cannot read CSV file ${quote(path)}: ${describeError(cause)}, expected a readable file`,
      { cause },
    );
  }
}

function parseHeader(path: string, fields: readonly string[]): string[] {
  const header = fields.map((field) => field.trim());
  const missing = DCGM_COLUMNS.filter((column) => !header.includes(column));
  const repeated = new Set(header.filter((column, index) => header.indexOf(column) !== index));
  const problems = [
    ...(missing.length > 0 ? [`missing columns ${missing.join(", ")}`] : []),
    ...(repeated.size > 0 ? [`repeated columns ${[...repeated].map(quote).join(", ")}`] : []),
  ];
  if (problems.length === 0) return header;
  throw new MillraceError(
    "invalid-input",
    `Cannot read CSV file ${quote(path)}: ${problems.join("; ")}, expected a header with ${DCGM_COLUMNS.join(",")}`,
  );
}

/** What is wrong with a row, if anything is. */
function problemOf(
  fields: readonly string[],
  header: readonly string[],
  companyId: string | undefined,
): string | undefined {
  if (fields.length !== header.length) return `${fields.length} columns, expected ${header.length}`;
  const field = (name: string) => fields[header.indexOf(name)] ?? "";
  for (const name of ["metric_name", "uuid", "value"]) {
    if (field(name) === "") return `${name} is empty`;
  }
  if (companyId !== undefined && header.includes("companyId") && field("companyId") !== companyId) {
    return `companyId is ${quote(field("companyId"))}, expected ${quote(companyId)}`;
  }
  return undefined;
}

/** Why the bridge would not take it, if it would not. */
function refusalOf(body: string): string | undefined {
  try {
    parseRow(body);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** A whole number that loses digits as one stays text. */
function parseValue(text: string): number | string {
  const value = Number(text);
  const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  return NUMBER.test(text) && exact ? value : text;
}
