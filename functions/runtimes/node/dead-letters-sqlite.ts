/** DeadLetters in the embedded store. */
import { MillraceError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { MAX_DEAD_LETTERS } from "../../core/limits.ts";
import type { DeadLetter, DeadLetters } from "../../ports/dead-letters.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Ids are row numbers. `maxLetters` (default MAX_DEAD_LETTERS) are kept. */
export function createSqliteDeadLetters({
  database,
  maxLetters = MAX_DEAD_LETTERS,
}: {
  database: SqliteDatabase;
  maxLetters?: number;
}): DeadLetters {
  const { connection } = database;
  const add = connection.prepare("INSERT INTO dead_letters (letter) VALUES (?)");
  // Numbers are never used twice and letters go oldest first, so the last number tells how many there are at most.
  const trim = connection.prepare(
    "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?",
  );
  const after = connection.prepare("SELECT id, letter FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?");
  return {
    async put(letters) {
      if (letters.length === 0) return;
      database.write("keep dead letters", () => {
        for (const letter of letters) add.run(JSON.stringify(letter));
        trim.run(maxLetters);
      });
    },
    async list({ after: id = "0", limit }) {
      if (!/^\d{1,15}$/.test(id)) {
        throw new MillraceError(
          "invalid-input",
          `Cannot read dead letter id ${quote(id)}: expected the id of a letter listed before`,
        );
      }
      const rows = database.read("read dead letters", () => after.all(Number(id), limit));
      return rows.map((row) => ({ ...(JSON.parse(String(row.letter)) as DeadLetter), id: String(row.id) }));
    },
  };
}
