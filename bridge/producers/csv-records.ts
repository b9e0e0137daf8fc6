/**
 * Text to CSV records (RFC 4180), in bounded memory, whatever the text: a record that is wrong costs that record, not the ones
 * behind it. A streaming parser cannot do that: after a quote that is never closed it takes the rest of the file for one field.
 */
import { parse } from "csv-parse/sync";
import { describeError } from "../../functions/core/errors.ts";
import { MAX_DATA_BYTES } from "../../functions/core/limits.ts";

/** Lines one record may span by line breaks inside quotes; further on, its quote counts as never closed. */
const MAX_RECORD_LINES = 16;

/** `line` is where it begins; the first is 1. */
export type CsvRecord = { readonly line: number } & (
  | { readonly fields: readonly string[] }
  | { readonly reason: string }
);

interface Line {
  readonly number: number;
  readonly text: string;
  readonly quotes: number;
}

/** Records in order; blank lines between them are skipped. Lines end with LF or CR LF; one over {@link MAX_DATA_BYTES} is a bad record. */
export async function* readRecords(chunks: AsyncIterable<string>): AsyncGenerator<CsvRecord> {
  // Lines that no record was made of yet: more than one only while a quote is open.
  const held: Line[] = [];
  for await (const { number, text } of readLines(chunks)) {
    if (text === undefined) {
      yield* settle(held, 0);
      yield { line: number, reason: `over ${MAX_DATA_BYTES} characters` };
    } else if (text !== "" || held.length > 0) {
      held.push({ number, text, quotes: text.split('"').length - 1 });
      yield* settle(held, MAX_RECORD_LINES);
    }
  }
  yield* settle(held, 0);
}

/** Takes the records off the front of the lines. While fewer than `limit` are held, it stops at a quote that a later line may close. */
function* settle(held: Line[], limit: number): Generator<CsvRecord> {
  for (let first = held[0]; first; first = held[0]) {
    const lines = first.text === "" ? 1 : countLines(held);
    if (lines === 0 && held.length < limit) return;
    const parsed = lines === 0 ? "a quote is never closed" : parseRecord(held.slice(0, lines));
    if (typeof parsed === "string") {
      if (first.text !== "") yield { line: first.number, reason: parsed };
      // Only its first line is known to belong to it.
      held.shift();
    } else {
      yield { line: first.number, fields: parsed };
      held.splice(0, lines);
    }
  }
}

/** How many lines the first record spans; 0 while it is open. Quotes inside a field are doubled, so a whole record has an even number. */
function countLines(held: readonly Line[]): number {
  let quotes = 0;
  for (const [index, line] of held.entries()) {
    quotes += line.quotes;
    if (quotes % 2 === 0) return index + 1;
  }
  return 0;
}

/** The fields, or what is wrong. */
function parseRecord(lines: readonly Line[]): string[] | string {
  try {
    const text = lines.map((line) => line.text).join("\n");
    return parse(text, { record_delimiter: "\n" })[0] ?? "no fields";
  } catch (error) {
    return describeError(error).replace(/ at line \d+/, "");
  }
}

/** `text` is undefined for a line too long to keep. */
async function* readLines(
  chunks: AsyncIterable<string>,
): AsyncGenerator<{ number: number; text: string | undefined }> {
  let number = 1;
  let rest: string | undefined = "";
  const append = (piece: string) => {
    rest = rest === undefined || rest.length + piece.length > MAX_DATA_BYTES ? undefined : rest + piece;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
      append(chunk.slice(start, end));
      yield { number: number++, text: rest?.replace(/\r$/, "") };
      rest = "";
      start = end + 1;
    }
    append(chunk.slice(start));
  }
  if (rest !== "") yield { number, text: rest?.replace(/\r$/, "") };
}
