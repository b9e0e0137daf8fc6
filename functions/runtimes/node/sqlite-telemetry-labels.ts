/** A reading's labels as one text, as the series have them. JSON also keeps what SQLite's text would not: lone surrogates. */
import { READING_LABELS, type ReadingLabels } from "../../core/reading.ts";

export function encodeLabels(labels: ReadingLabels): string {
  return JSON.stringify(READING_LABELS.map((name) => labels[name]));
}

export function decodeLabels(text: string): ReadingLabels {
  const values = JSON.parse(text) as string[];
  return Object.fromEntries(READING_LABELS.map((name, at) => [name, values[at] ?? ""])) as ReadingLabels;
}
