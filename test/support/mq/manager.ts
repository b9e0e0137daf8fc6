/** The stand-in queue manager: its objects, its messages and its units of work. Connections are session.ts. */
import { randomFillSync } from "node:crypto";
import { join } from "node:path";
import { MD, OT, PMO, RC } from "./constants.ts";
import { createDefinitions, type Definitions } from "./definitions.ts";
import { openJournal } from "./journal.ts";
import { createMessageStore, type Message, type MessageStore } from "./messages.ts";
import { MqscError, splitCommands } from "./mqsc-text.ts";

/** What a connection has put and got and not committed. */
export interface UnitOfWork {
  readonly puts: Message[];
  readonly gets: Message[];
  /** Messages that count towards MAXUMSGS; stream copies do not (IBM MQ, "Stream queues and transactions"). */
  size: number;
}

export interface NewMessage {
  readonly md: Buffer;
  readonly properties: Buffer;
  readonly body: Buffer;
  /** MQPMO_ flags. */
  readonly options: number;
  readonly user: string;
  readonly applName: string;
}

export interface CommandResult {
  readonly command: string;
  readonly line: number;
  readonly isOk: boolean;
  readonly isSyntaxError: boolean;
  /** As runmqsc prints it. */
  readonly answer: string;
}

/** What a connection opened. */
export interface OpenHandle {
  /** Undefined: the queue manager. */
  readonly queue: string | undefined;
  /** MQOO_ flags. */
  readonly options: number;
}

export interface Manager {
  readonly name: string;
  /** Of text it puts nothing else on: UTF-8. */
  readonly ccsid: number;
  /** Of all connections. */
  readonly opened: Set<OpenHandle>;
  readonly definitions: Definitions;
  readonly store: MessageStore;
  /** Runs the commands of an MQSC text, the good ones even when others fail, as runmqsc does. */
  run(mqsc: string): CommandResult[];
  begin(): UnitOfWork;
  /** MAXUMSGS. */
  maxUncommitted(): number;
  /** Puts a message and its stream copy; the reason when it cannot. `md` gets what the queue manager fills in. */
  put(queue: string, message: NewMessage, unit: UnitOfWork | undefined): number;
  /** Takes a message off: hidden in the unit of work, or gone at once. */
  take(message: Message, unit: UnitOfWork | undefined): void;
  commit(unit: UnitOfWork): void;
  /** Hides nothing any more; every message got counts one backout more. */
  backOut(unit: UnitOfWork): void;
  close(): void;
}

/** Report options a stream copy does not carry (IBM MQ, "Streaming queues configuration"): exception, expiration, COA, COD, activity. */
const STREAM_REPORTS = 0x07000000 | 0x00e00000 | 0x00000700 | 0x00003800 | 0x00000004;
const CCSID = 1208;
const AT_UNIX = 6;
const HIGHEST_PRIORITY = 9;

const pad = (text: string, size: number) => Buffer.from(text.padEnd(size)).subarray(0, size);

export function createManager({ name, folder }: { readonly name: string; readonly folder: string }): Manager {
  const journal = openJournal(join(folder, "journal"));
  const store = createMessageStore((expired) => journal.write({ got: [expired] }));
  const definitions = createDefinitions(name, (queue) => store.depth(queue));
  for (const command of journal.commands) definitions.run(command);
  for (const message of journal.messages) store.add(message);
  let lastNumber = journal.messages.reduce((most, { number }) => Math.max(most, number), 0);

  const uniqueId = () => {
    const id = Buffer.alloc(24);
    pad("AMQ ", 4).copy(id);
    pad(name, 12).copy(id, 4);
    randomFillSync(id, 16);
    return id;
  };

  const maxUncommitted = () => Number(definitions.queueManager.MAXUMSGS);

  /** Why a message cannot be on the queue. */
  const refusal = (queue: string, bytes: number): number => {
    const attributes = definitions.queues.get(queue);
    if (!attributes) return RC.UNKNOWN_OBJECT_NAME;
    if (attributes.PUT === "DISABLED") return RC.PUT_INHIBITED;
    if (bytes > Number(attributes.MAXMSGL)) return RC.MSG_TOO_BIG_FOR_Q;
    if (bytes > Number(definitions.queueManager.MAXMSGL)) return RC.MSG_TOO_BIG_FOR_Q_MGR;
    if (store.depth(queue) >= Number(attributes.MAXDEPTH)) return RC.Q_FULL;
    return RC.NONE;
  };

  /** Fills in what the program left to the queue manager. */
  const complete = (queue: string, { md, options, user, applName }: NewMessage): number => {
    const attributes = definitions.queues.get(queue)!;
    const priority = md.readInt32LE(MD.PRIORITY);
    if (priority > HIGHEST_PRIORITY) return RC.PRIORITY_EXCEEDS_MAXIMUM;
    if (priority < -1) return RC.PRIORITY_ERROR;
    if (priority === -1) md.writeInt32LE(Number(attributes.DEFPRTY), MD.PRIORITY);
    const persistence = md.readInt32LE(MD.PERSISTENCE);
    if (persistence < 0 || persistence > 2) return RC.PERSISTENCE_ERROR;
    if (persistence === 2) md.writeInt32LE(attributes.DEFPSIST === "YES" ? 1 : 0, MD.PERSISTENCE);
    if (md.readInt32LE(MD.CODED_CHAR_SET_ID) === 0) md.writeInt32LE(CCSID, MD.CODED_CHAR_SET_ID);
    const isUnset = (at: number) => md.subarray(at, at + 24).every((byte) => byte === 0);
    if (options & PMO.NEW_MSG_ID || isUnset(MD.MSG_ID)) uniqueId().copy(md, MD.MSG_ID);
    if (options & PMO.NEW_CORREL_ID) uniqueId().copy(md, MD.CORREL_ID);
    md.writeInt32LE(0, MD.BACKOUT_COUNT);
    if (options & PMO.SET_ALL_CONTEXT) return RC.NONE;
    const now = new Date().toISOString();
    if (!(options & PMO.SET_IDENTITY_CONTEXT)) {
      pad(user, 12).copy(md, MD.USER_IDENTIFIER);
      md.fill(0, MD.ACCOUNTING_TOKEN, MD.ACCOUNTING_TOKEN + 32);
      md.fill(" ", MD.APPL_IDENTITY_DATA, MD.APPL_IDENTITY_DATA + 32);
    }
    md.writeInt32LE(AT_UNIX, MD.PUT_APPL_TYPE);
    pad(applName, 28).copy(md, MD.PUT_APPL_NAME);
    pad(now.slice(0, 10).replaceAll("-", ""), 8).copy(md, MD.PUT_DATE);
    pad(now.slice(11, 22).replace(/[:.]/g, ""), 8).copy(md, MD.PUT_TIME);
    md.fill(" ", MD.APPL_ORIGIN_DATA, MD.APPL_ORIGIN_DATA + 4);
    return RC.NONE;
  };

  /** A message's place in the order of its queue. */
  const place = (queue: string, md: Buffer) => ({
    number: ++lastNumber,
    queue,
    priority: definitions.queues.get(queue)!.MSGDLVSQ === "FIFO" ? 0 : md.readInt32LE(MD.PRIORITY),
  });

  const create = (queue: string, md: Buffer, { properties, body }: NewMessage): Message => {
    const expiry = md.readInt32LE(MD.EXPIRY);
    return {
      ...place(queue, md),
      ...{ md, properties, body },
      isPersistent: md.readInt32LE(MD.PERSISTENCE) === 1,
      // Tenths of a second; negative: for ever.
      expiresAt: expiry >= 0 ? Date.now() + expiry * 100 : undefined,
      ...{ backoutCount: 0, isHidden: false, isGot: false },
    };
  };

  /** All but the expiry and the reports is the original's. */
  const copyFor = (streamQueue: string, original: Message): Message => {
    const md = Buffer.from(original.md);
    md.writeInt32LE(-1, MD.EXPIRY);
    md.writeInt32LE(md.readInt32LE(MD.REPORT) & ~STREAM_REPORTS, MD.REPORT);
    return { ...original, ...place(streamQueue, md), md, expiresAt: undefined };
  };

  return {
    name,
    ccsid: CCSID,
    opened: new Set(),
    definitions,
    store,
    run: (mqsc) =>
      splitCommands(mqsc).map(({ text, line }) => {
        try {
          const { answer, isChange } = definitions.run(text);
          if (isChange) journal.write({ mqsc: text });
          return { command: text, line, isOk: true, isSyntaxError: false, answer };
        } catch (error) {
          if (!(error instanceof MqscError)) throw error;
          const answer = `${error.code}: ${error.message}`;
          return { command: text, line, isOk: false, isSyntaxError: error.code === "AMQ8405I", answer };
        }
      }),
    begin: () => ({ puts: [], gets: [], size: 0 }),
    maxUncommitted,
    put(queue, message, unit) {
      if (unit && unit.size >= maxUncommitted()) return RC.SYNCPOINT_LIMIT_REACHED;
      const reason = refusal(queue, message.body.length) || complete(queue, message);
      if (reason !== RC.NONE) return reason;
      const { STREAMQ = "", STRMQOS } = definitions.queues.get(queue)!;
      const streamReason = STREAMQ === "" ? RC.NONE : refusal(STREAMQ, message.body.length);
      if (streamReason !== RC.NONE && STRMQOS === "MUSTDUP") return streamReason;
      const original = create(queue, message.md, message);
      const put = [original];
      if (STREAMQ !== "" && streamReason === RC.NONE) put.push(copyFor(STREAMQ, original));
      if (unit) {
        unit.puts.push(...put);
        unit.size++;
        for (const one of put) one.isHidden = true;
      } else {
        journal.write({ put });
      }
      for (const one of put) store.add(one);
      return RC.NONE;
    },
    take(message, unit) {
      if (unit) {
        store.hide(message);
        unit.gets.push(message);
        unit.size++;
      } else {
        store.remove(message);
        journal.write({ got: [message] });
      }
    },
    commit(unit) {
      const put = unit.puts.splice(0);
      const got = unit.gets.splice(0);
      unit.size = 0;
      journal.write({ put, got });
      for (const message of got) store.remove(message);
      for (const message of put) store.show(message);
    },
    backOut(unit) {
      const put = unit.puts.splice(0);
      const got = unit.gets.splice(0);
      unit.size = 0;
      for (const message of put) store.remove(message);
      for (const message of got) message.backoutCount++;
      journal.write({ counts: got });
      for (const message of got) store.show(message);
    },
    close: () => journal.close(),
  };
}

/** The type of object a descriptor names, or the reason it is none of the stand-in's. */
export function resolveObject(
  { name, definitions }: Manager,
  type: number,
  object: string,
  queueManager: string,
): { readonly queue: string | undefined } | { readonly reason: number } {
  if (queueManager !== "" && queueManager !== name) return { reason: RC.UNKNOWN_OBJECT_Q_MGR };
  if (type === OT.Q_MGR) return { queue: undefined };
  if (type !== OT.Q) return { reason: RC.OBJECT_TYPE_ERROR };
  return definitions.queues.has(object) ? { queue: object } : { reason: RC.UNKNOWN_OBJECT_NAME };
}
