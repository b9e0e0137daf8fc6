/** Dead letters as the CLI shows them: lines for people, or one line of JSON each. */
import { bodyOf, type Replayed } from "../bridge/replay.ts";
import type { StoredDeadLetter } from "../functions/ports/dead-letters.ts";

/** One way to show them. */
export interface DeadLetterView {
  /** In a list: without headers and body. */
  listed(letter: StoredDeadLetter): string;
  shown(letter: StoredDeadLetter): string;
  replayed(result: Replayed): string;
}

export const asJson: DeadLetterView = {
  listed: (letter) => JSON.stringify(summary(letter)),
  shown: (letter) => {
    const { text, hex } = readBody(letter);
    const body = text === undefined ? { bodyHex: hex } : { body: text };
    return JSON.stringify({ ...summary(letter), headers: letter.headers, ...body });
  },
  replayed: (result) => {
    const { id, source } = result.letter;
    const { outcome } = result;
    if (outcome === "kept") return JSON.stringify({ id, source, outcome, reason: result.reason });
    const { companyId, type, id: eventId } = result.event;
    return JSON.stringify({ id, source, outcome, companyId, type, eventId });
  },
};

export const asText: DeadLetterView = {
  listed: (letter) => {
    const { id, time, source, subject, bytes, reason } = summary(letter);
    const about = [id, time, source, inline(subject), `${bytes} bytes`].filter(Boolean);
    return `${about.join("  ")}\n    ${inline(reason)}`;
  },
  shown: (letter) => {
    const { text, hex } = readBody(letter);
    const rows = Object.entries(summary(letter)).filter(([, value]) => value !== "");
    const headers = Object.entries(letter.headers).map(([name, value]) => ["header", `${name}: ${value}`]);
    const lines = [...rows, ...headers].map(
      ([name, value]) => `${String(name).padEnd(10)}${inline(String(value))}`,
    );
    const kind = text === undefined ? "body, not UTF-8, in hex" : "body";
    return `${lines.join("\n")}\n${kind}:\n${printable(text ?? hex)}`;
  },
  replayed: (result) => {
    const { id, source } = result.letter;
    if (result.outcome === "kept") return `kept       ${id}  ${source}\n    ${inline(result.reason)}`;
    const { companyId, type, id: eventId } = result.event;
    return `${SAID[result.outcome]}${id}  ${source}  ->  ${companyId}  ${type}  ${inline(eventId)}`;
  },
};

const SAID = { stored: "stored     ", duplicate: "known      ", decodable: "decodable  " };

function summary(letter: StoredDeadLetter) {
  const { id, time, source, subject, messageId, reason } = letter;
  const bytes = bodyOf(letter).byteLength;
  return { id, time, source, subject, ...(messageId === undefined ? {} : { messageId }), bytes, reason };
}

function readBody(letter: StoredDeadLetter): { readonly text: string | undefined; readonly hex: string } {
  const body = bodyOf(letter);
  const hex = Buffer.from(body).toString("hex");
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body), hex };
  } catch {
    return { text: undefined, hex };
  }
}

/** {@link printable}, and on one line. */
function inline(text: string): string {
  return printable(text).replace(/\n/g, "\\u000a");
}

/** A stranger wrote it: what would move the cursor or turn the text around is shown as what it is. */
function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
