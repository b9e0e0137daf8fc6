/**
 * The stand-in queue manager's process: one port for the shim (shim.c), one for the tests (control.ts).
 *
 * Run with one JSON argument, {@link DaemonOptions}. Prints `ready` when both ports listen. It is a process of its own because a
 * program that waits in a get blocks its event loop, and because tests kill -9 it.
 */
import { createServer, type Server, type Socket } from "node:net";
import { MD, TYPE_STRING, VERBS, type Verb } from "./constants.ts";
import type { ControlHandlers } from "./control.ts";
import { createFaults } from "./faults.ts";
import { createManager } from "./manager.ts";
import { createSession, type Ending, type Session } from "./session.ts";
import type { Answer } from "./verb.ts";
import { createFrames, readFields, readProperties, writeFields, writeProperties } from "./wire.ts";

export interface DaemonOptions {
  readonly queueManager: string;
  readonly port: number;
  readonly controlPort: number;
  /** Holds the journal. */
  readonly folder: string;
  readonly passwords: Readonly<Record<string, string>>;
}

const options: DaemonOptions = JSON.parse(process.argv[2] ?? "{}");
const manager = createManager({ name: options.queueManager, folder: options.folder });
const faults = createFaults();
const calls: Record<string, number> = {};
const sessions = new Map<Session, Socket>();
let ending: Ending | undefined;

function encode({ code, reason, fields = [] }: Answer): Buffer {
  const payload = writeFields([code, reason, ...fields]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(payload.length);
  return Buffer.concat([length, payload]);
}

/** Does one call, with the fault a test asked for; undefined: the connection is to be cut. */
async function perform(session: Session, verb: Verb, frame: Buffer): Promise<Answer | undefined> {
  calls[verb] = (calls[verb] ?? 0) + 1;
  const fault = faults.take(verb);
  const reason = fault?.reason ?? 0;
  if (fault?.action === "break-before") return undefined;
  if (fault?.action === "fail") {
    if (verb === "MQCMIT" && reason === 2003) await session.handle("MQBACK", readFields(frame));
    return { code: 2, reason };
  }
  if (fault?.action === "delay") await new Promise((resolve) => setTimeout(resolve, fault.ms));
  const answer = await session.handle(verb, readFields(frame));
  if (fault?.action === "break-after") return undefined;
  return fault?.action === "warn" && answer.code === 0 ? { ...answer, code: 1, reason } : answer;
}

const shimServer = createServer({ noDelay: true }, (socket) => {
  const session = createSession(manager, () => ending, options.passwords);
  sessions.set(session, socket);
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    sessions.delete(session);
    session.end();
    socket.destroy();
  };
  let line = Promise.resolve();
  const take = createFrames((frame) => {
    const verb = VERBS[frame[0] as keyof typeof VERBS];
    line = line.then(async () => {
      if (isOver) return;
      const answer = await perform(session, verb, frame.subarray(1));
      if (!answer) return end();
      if (!isOver) socket.write(encode(answer));
    });
    line.catch((error) => {
      console.error(error);
      process.exit(1);
    });
  });
  socket.on("data", take);
  socket.on("close", end);
  socket.on("error", end);
});

const unset = (size: number, at: number, bytes: Buffer) => bytes.toString("utf8", at, at + size).trimEnd();

const handlers: ControlHandlers = {
  run: (mqsc) => manager.run(mqsc),
  put({
    queue,
    bodies,
    properties = {},
    isPersistent = true,
    priority = -1,
    ccsid = 1208,
    format = "MQSTR",
    expiresInMs,
  }) {
    for (const body of bodies) {
      const md = Buffer.alloc(MD.LENGTH);
      md.write("MD  ", 0);
      md.writeInt32LE(2, 4);
      md.writeInt32LE(8, 12);
      md.writeInt32LE(expiresInMs === undefined ? -1 : Math.ceil(expiresInMs / 100), MD.EXPIRY);
      md.writeInt32LE(546, 24);
      md.writeInt32LE(ccsid, MD.CODED_CHAR_SET_ID);
      md.write(format.padEnd(8), 32);
      md.writeInt32LE(priority, MD.PRIORITY);
      md.writeInt32LE(isPersistent ? 1 : 0, MD.PERSISTENCE);
      md.fill(" ", 100, 196);
      md.writeInt32LE(-1, MD.LENGTH - 4);
      const message = {
        ...{ md, properties: writeProperties(properties, TYPE_STRING), body: Buffer.from(body, "base64") },
        ...{ options: 0, user: "tester", applName: "test" },
      };
      const reason = manager.put(queue, message, undefined);
      if (reason !== 0) return reason;
    }
    return 0;
  },
  depth(queue) {
    if (!manager.definitions.queues.has(queue)) throw new Error(`The stand-in has no queue "${queue}"`);
    return manager.store.depth(queue);
  },
  messages: (queue) =>
    manager.store.all(queue).map(({ body, md, properties, isPersistent, backoutCount, isHidden }) => ({
      body: body.toString(),
      msgId: md.toString("hex", MD.MSG_ID, MD.MSG_ID + 24),
      correlId: md.toString("hex", MD.CORREL_ID, MD.CORREL_ID + 24),
      priority: md.readInt32LE(MD.PRIORITY),
      ...{ isPersistent, backoutCount, isHidden },
      user: unset(12, MD.USER_IDENTIFIER, md),
      applName: unset(28, MD.PUT_APPL_NAME, md),
      properties: readProperties(properties),
    })),
  inject(fault) {
    faults.add(fault);
    return null;
  },
  clearFaults() {
    faults.clear();
    return null;
  },
  end(how) {
    ending = how;
    for (const session of sessions.keys()) session.wake();
    return null;
  },
  calls: () => calls,
  connections: () =>
    [...sessions.keys()]
      .filter(({ info }) => info.user !== "")
      .map(({ info, uncommitted }) => ({ ...info, ...uncommitted })),
  cut() {
    for (const socket of sessions.values()) socket.destroy();
    return null;
  },
};

const controlServer = createServer({ allowHalfOpen: true }, (socket) => {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => socket.destroy());
  socket.on("end", () => {
    try {
      const { name, takes } = JSON.parse(text) as { name: keyof ControlHandlers; takes: never };
      socket.end(JSON.stringify({ gives: handlers[name](takes) }));
    } catch (error) {
      socket.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
    }
  });
});

const listening = (server: Server, port: number) =>
  new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
await listening(shimServer, options.port);
await listening(controlServer, options.controlPort);
console.log("ready");
