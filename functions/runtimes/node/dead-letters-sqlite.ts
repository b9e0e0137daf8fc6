/** DeadLetters in the embedded store. */
import { MillraceError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { MAX_DEAD_LETTER_BYTES, MAX_DEAD_LETTERS } from "../../core/limits.ts";
import type { DeadLetter, DeadLetters, StoredDeadLetter } from "../../ports/dead-letters.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Letters counted at most: every one is a look at its row, while the process does nothing else (10,000 take about a millisecond). */
const COUNTED_LETTERS = 10_000;

/**
 * Ids are row numbers. `maxLetters` (default MAX_DEAD_LETTERS) of at most `maxBytes` (default MAX_DEAD_LETTER_BYTES) are kept, and up
 * to a hundredth more.
 */
export function createSqliteDeadLetters({
  database,
  maxLetters = MAX_DEAD_LETTERS,
  maxBytes = MAX_DEAD_LETTER_BYTES,
}: {
  database: SqliteDatabase;
  maxLetters?: number;
  maxBytes?: number;
}): DeadLetters {
  const { connection } = database;
  const add = connection.prepare("INSERT INTO dead_letters (letter) VALUES (?)");
  const trim = connection.prepare(
    "DELETE FROM dead_letters WHERE id <= (SELECT id FROM dead_letters ORDER BY id DESC LIMIT 1 OFFSET ?)",
  );
  // Reads the lengths alone, not the letters (SQLite, octet_length).
  const trimBytes = connection.prepare(
    `DELETE FROM dead_letters WHERE id <= (
       SELECT max(id) FROM (
         SELECT id, sum(octet_length(letter)) OVER (ORDER BY id DESC) AS bytes FROM dead_letters
       ) WHERE bytes > ? AND id < (SELECT max(id) FROM dead_letters)
     )`,
  );
  const after = connection.prepare("SELECT id, letter FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?");
  const one = connection.prepare("SELECT id, letter FROM dead_letters WHERE id = ?");
  const counted = connection.prepare(
    `SELECT count(*) AS letters FROM (SELECT 1 FROM dead_letters LIMIT ${COUNTED_LETTERS})`,
  );
  const drop = connection.prepare("DELETE FROM dead_letters WHERE id = ?");
  // What there is must be looked through to be trimmed: every so often, not at each letter.
  let [lettersSince, bytesSince] = [maxLetters, 0];

  return {
    async put(letters) {
      if (letters.length === 0) return;
      const texts = letters.map((letter) => JSON.stringify(letter));
      database.write("keep dead letters", () => {
        for (const text of texts) {
          add.run(text);
          lettersSince++;
          bytesSince += text.length;
        }
        if (lettersSince < maxLetters / 100 && bytesSince < maxBytes / 100) return;
        trim.run(maxLetters);
        trimBytes.run(maxBytes);
        [lettersSince, bytesSince] = [0, 0];
      });
    },
    async list({ after: id = "0", limit }) {
      const from = rowNumber(id);
      return database.read("read dead letters", () => after.all(from, limit)).map(parseRow);
    },
    async get(id) {
      const number = rowNumber(id);
      const row = database.read("read a dead letter", () => one.get(number));
      return row && parseRow(row);
    },
    async count() {
      const row = database.read("count dead letters", () => counted.get());
      return Number((row as { letters: number }).letters);
    },
    async remove(ids) {
      const numbers = ids.map(rowNumber);
      if (numbers.length === 0) return;
      database.write("remove dead letters", () => {
        for (const number of numbers) drop.run(number);
      });
    },
  };
}

function rowNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new MillraceError(
    "invalid-input",
    `Cannot read dead letter id ${quote(text)}: expected the id of a letter listed before, such as 42`,
  );
}

function parseRow(row: Readonly<Record<string, unknown>>): StoredDeadLetter {
  return { ...(JSON.parse(String(row.letter)) as DeadLetter), id: String(row.id) };
}
