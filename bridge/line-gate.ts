/** Lets log lines and statuses of channels through as far as their service may send them, and says in its name what was left out. */
import { hash, randomUUID } from "node:crypto";
import { type MillraceEvent, parseEvent } from "../functions/core/event.ts";
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../functions/core/ids.ts";
import { LOG_LINE_TYPE } from "../functions/core/log-line.ts";
import type { Decode, Decoded, RawMessage } from "../functions/ports/broker-source.ts";
import { createLineLimit } from "./line-limit.ts";
import { carriesLines, carriesStatuses, serviceOfMessage } from "./service-channels.ts";

/** Bytes of a line that counts for one; each more of them for one more, so that the limit bounds bytes as well. */
const LINE_BYTES = 8 * 1024;
/** Statuses of one service let in, sustained: four times what the library sends at most; ten times as many at once. */
const STATUSES_PER_SECOND = 20;
/** Statuses of services heard for the first time: after a start that is each of them. */
const NEW_STATUSES_PER_SECOND = 100;
/** Messages remembered, for the copy that comes on the next channel at once. */
const MAX_COPIES = 4_096;

export interface LineGate {
  /** `copy`: the same line was on another channel (`logs:all` and `logs:<service>`). Messages of channels of neither lines nor statuses are let in. */
  admit(message: RawMessage & { readonly body: Buffer }): "let in" | "left out" | "copy";
  /** A line of level warn for each service that had lines, or statuses, left out since this was last asked. */
  notices(): Decoded[];
}

export interface LineGateOptions {
  readonly maxLinesPerSecond: number;
  readonly decode: Decode;
}

export function createLineGate({ maxLinesPerSecond, decode }: LineGateOptions): LineGate {
  // Who the notice is of is what the message was of.
  type About = Omit<MillraceEvent, "data"> | undefined;
  const lines = createLineLimit<About>({ linesPerSecond: maxLinesPerSecond });
  const statuses = createLineLimit<About>({
    linesPerSecond: STATUSES_PER_SECOND,
    strangersPerSecond: NEW_STATUSES_PER_SECOND,
  });
  const isCopy = createCopies();
  const eventOf = (message: RawMessage) => {
    const decoded = decode(message);
    if (!("event" in decoded)) return undefined;
    const { data: _, ...about } = decoded.event;
    return about;
  };
  const noticesOf = (limit: typeof lines, perSecond: number, [one, many]: readonly [string, string]) => {
    const ts = new Date().toISOString();
    return limit.leftOut().flatMap(({ service, lines: leftOut, first }) => {
      // It would have been a dead letter, and is counted.
      if (!first) return [];
      const message = `${leftOut} ${leftOut === 1 ? one : many} left out: over ${perSecond} a second`;
      const dataText = JSON.stringify({ ts, level: "warn", service, message, leftOut });
      // Of a status as well it is a line of log.
      const companyId = first.companyId === OPERATIONS_COMPANY ? LOGS_COMPANY : first.companyId;
      const line = { companyId, type: LOG_LINE_TYPE, id: randomUUID(), time: ts, dataText };
      return [{ event: parseEvent({ ...first, ...line }) }];
    });
  };
  return {
    admit(message) {
      const { subject, body } = message;
      const isLine = carriesLines(subject);
      if (!isLine && !carriesStatuses(subject)) return "let in";
      const service = serviceOfMessage(body, subject);
      // A status has the same id on each of its channels; lines are many, and it is for them that a copy costs nothing.
      if (isLine && isCopy(`${service} ${hash("sha1", body, "base64")}`, subject)) return "copy";
      const cost = Math.max(1, Math.ceil(body.byteLength / LINE_BYTES));
      const limit = isLine ? lines : statuses;
      return limit.admits(service, cost, () => eventOf(message)) ? "let in" : "left out";
    },
    notices: () => [
      ...noticesOf(lines, maxLinesPerSecond, ["line", "lines"]),
      ...noticesOf(statuses, STATUSES_PER_SECOND, ["status", "statuses"]),
    ],
  };
}

/** Whether the same text has just come on another channel. Each is a copy of one: on the same channel it is another line. */
function createCopies() {
  const newest = new Map<string, string>();
  return (text: string, channel: string): boolean => {
    const first = newest.get(text);
    newest.delete(text);
    if (first !== undefined && first !== channel) return true;
    newest.set(text, channel);
    if (newest.size > MAX_COPIES) newest.delete(newest.keys().next().value!);
    return false;
  };
}
