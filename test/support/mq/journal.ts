/**
 * What the stand-in keeps on disk: one JSON line for every committed act, so that a kill -9 keeps all of an act or nothing
 * of it. Written through to the system, not synced to the disk: it is the process that tests kill, not the machine.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import type { Message } from "./messages.ts";

interface StoredMessage {
  readonly number: number;
  readonly queue: string;
  readonly priority: number;
  readonly expiresAt: number | undefined;
  readonly backoutCount: number;
  /** Base64, these three. */
  readonly md: string;
  readonly properties: string;
  readonly body: string;
}

interface Line {
  readonly put?: readonly StoredMessage[];
  readonly got?: readonly number[];
  /** Number and backout count. */
  readonly counts?: readonly (readonly [number, number])[];
  /** An MQSC command that changed something. */
  readonly mqsc?: string;
}

export interface Journal {
  readonly commands: readonly string[];
  readonly messages: readonly Message[];
  /** Messages that are not persistent are left out. */
  write(act: {
    put?: readonly Message[];
    got?: readonly Message[];
    counts?: readonly Message[];
    mqsc?: string;
  }): void;
  close(): void;
}

const store = (message: Message): StoredMessage => ({
  number: message.number,
  queue: message.queue,
  priority: message.priority,
  expiresAt: message.expiresAt,
  backoutCount: message.backoutCount,
  md: message.md.toString("base64"),
  properties: message.properties.toString("base64"),
  body: message.body.toString("base64"),
});

const load = (stored: StoredMessage): Message => ({
  ...stored,
  expiresAt: stored.expiresAt,
  isPersistent: true,
  md: Buffer.from(stored.md, "base64"),
  properties: Buffer.from(stored.properties, "base64"),
  body: Buffer.from(stored.body, "base64"),
  isHidden: false,
  isGot: false,
});

function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  // The last line has no end when the process was killed while it wrote.
  const whole = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return whole.map((line) => JSON.parse(line));
}

/** Opens the journal and shortens it to what still counts. */
export function openJournal(file: string): Journal {
  const messages = new Map<number, Message>();
  const commands: string[] = [];
  for (const { put = [], got = [], counts = [], mqsc } of readLines(file)) {
    if (mqsc !== undefined) commands.push(mqsc);
    for (const stored of put) messages.set(stored.number, load(stored));
    for (const number of got) messages.delete(number);
    for (const [number, count] of counts) {
      const message = messages.get(number);
      if (message) message.backoutCount = count;
    }
  }
  const toLine = (line: Line) => `${JSON.stringify(line)}\n`;
  const kept = [...messages.values()];
  const short = [
    ...commands.map((mqsc) => toLine({ mqsc })),
    ...kept.map((message) => toLine({ put: [store(message)] })),
  ];
  writeFileSync(`${file}.new`, short.join(""));
  renameSync(`${file}.new`, file);
  const handle = openSync(file, "a");
  return {
    commands,
    messages: kept,
    write({ put = [], got = [], counts = [], mqsc }) {
      const persistent = (list: readonly Message[]) => list.filter((message) => message.isPersistent);
      const line: Line = {
        ...(persistent(put).length > 0 && { put: persistent(put).map(store) }),
        ...(persistent(got).length > 0 && { got: persistent(got).map(({ number }) => number) }),
        ...(persistent(counts).length > 0 && {
          counts: persistent(counts).map(({ number, backoutCount }) => [number, backoutCount] as const),
        }),
        ...(mqsc !== undefined && { mqsc }),
      };
      if (Object.keys(line).length > 0) writeSync(handle, toLine(line));
    },
    close: () => closeSync(handle),
  };
}
