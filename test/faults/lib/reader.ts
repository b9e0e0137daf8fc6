/**
 * A strict reader of one stream. It keeps what a browser keeps (the last event id) and everything that came, comes back by
 * `Last-Event-ID` when its connection ends, and holds against the server whatever a client could not explain to itself.
 */
import { connect, type Socket } from "node:net";
import { comparePositions, cursorParts, parseCursor } from "../../../functions/core/cursor.ts";
import { waitFor } from "../../support/wait.ts";

/** One event. */
export interface Received {
  /** The number its producer gave it. */
  readonly n: number;
  /** The id it is known by in the log: of the CloudEvent. */
  readonly id: string;
  readonly cursor: string;
}

export interface Gap {
  readonly reason: string;
  readonly requested: string;
  readonly resumedAt: string;
  /** Events that had come before it. */
  readonly after: number;
}

export interface ReaderOptions {
  /** Origins of the instances; after an end the next one is asked. */
  readonly urls: readonly string[];
  readonly company: string;
  readonly token: string;
  /** The cursor to begin after. */
  readonly after?: string | undefined;
  /** Called with each event and the text of its data. */
  readonly onEvent?: (event: Received, dataText: string) => void;
  /** Called when the server has ended a connection. */
  readonly onClose?: () => void;
}

export interface Reader extends Disposable {
  readonly events: readonly Received[];
  readonly gaps: readonly Gap[];
  /** What broke a promise of the protocol, in words. */
  readonly problems: readonly string[];
  /** Types of events that are not of a company: `draining`, `busy`. */
  readonly notices: readonly string[];
  /** Milliseconds of each `retry:`. */
  readonly retries: readonly number[];
  /** Answered connections. */
  readonly connections: number;
  /** Connections that the server or the network ended. */
  readonly closes: number;
  readonly lastEventId: string | undefined;
  /** Resolves when the stream is open: its header and its first frame have come. */
  opened(): Promise<void>;
  /** Cuts the connection wherever it is, and comes back. */
  drop(): void;
  /** Cuts the connection and stays away until `wake`. */
  sleep(): void;
  wake(): void;
  /** Stops and goes on reading the socket. */
  pause(): void;
  resume(): void;
}

interface StreamedEvent {
  readonly id: string;
  readonly type: string;
  readonly companyid: string;
  readonly data: { readonly companyId: string; readonly n: number };
}

/** Milliseconds before the reader comes back: short, so that a test is; what `retry:` says is kept in `retries`. */
const COME_BACK_MS = 20;

export function openReader(options: ReaderOptions): Reader {
  const { urls, company, token, onEvent, onClose } = options;
  const events: Received[] = [];
  const gaps: Gap[] = [];
  const problems: string[] = [];
  const notices: string[] = [];
  const retries: number[] = [];
  let lastEventId = options.after;
  let connections = 0;
  let frames = 0;
  let closes = 0;
  let attempts = 0;
  let isAsleep = false;
  let isDone = false;
  let socket: Socket | undefined;
  let coming: NodeJS.Timeout | undefined;

  const blame = (what: string) => {
    if (problems.length < 20) problems.push(what);
  };

  const readBlock = (block: string) => {
    frames++;
    if (block.includes("\r")) blame(`a carriage return, which ends a line: ${block.slice(0, 200)}`);
    let type = "message";
    let data: string | undefined;
    let id: string | undefined;
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const value = line.slice(colon + 1).replace(/^ /, "");
      const name = line.slice(0, Math.max(colon, 0));
      if (name === "event") type = value;
      else if (name === "data" && data === undefined) data = value;
      else if (name === "id" && id === undefined) id = value;
      else if (name === "retry") retries.push(Number(value));
      else if (colon !== 0) blame(`a line that cannot be: ${line.slice(0, 200)}`);
    }
    if (type === "gap") {
      const { reason, requested, resumedAt } = JSON.parse(data!) as Gap;
      if (lastEventId !== undefined && requested !== lastEventId)
        blame(`a gap after ${requested}, but ${lastEventId} is what was last heard`);
      gaps.push({ reason, requested, resumedAt, after: events.length });
    } else if (id !== undefined) checkOrder(id, data !== undefined);
    if (id !== undefined) lastEventId = id;
    if (data === undefined || type === "gap") return;
    if (id === undefined) {
      notices.push(type);
      return;
    }
    const event = JSON.parse(data) as StreamedEvent;
    if (event.companyid !== company || event.data.companyId !== company) {
      blame(`an event of ${event.companyid}, ${event.data.companyId}`);
    }
    if (event.type !== type) blame(`an event of type ${event.type} called ${type}`);
    const received = { n: event.data.n, id: event.id, cursor: id };
    events.push(received);
    onEvent?.(received, data);
  };

  /** Cursors grow; one of another log comes behind a gap only. */
  const checkOrder = (id: string, isEvent: boolean) => {
    if (lastEventId === undefined) return;
    const before = cursorParts(parseCursor(lastEventId));
    const now = cursorParts(parseCursor(id));
    const isFirst = before.epoch === "0";
    if (!isFirst && before.epoch !== now.epoch) blame(`${id} after ${lastEventId} without a gap`);
    const step = comparePositions(now.position, before.position);
    if (!isFirst && (step < 0 || (step === 0 && isEvent))) blame(`${id} after ${lastEventId}`);
  };

  const open = () => {
    if (isDone || isAsleep) return;
    const { hostname, port } = new URL(urls[attempts++ % urls.length]!);
    const own = connect({ host: hostname, port: Number(port) });
    socket = own;
    let head: string | undefined = "";
    let rest = "";
    own.setEncoding("latin1");
    own.write(
      `GET /stream/updates?companyId=${company}&format=cloudevents HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
        `Accept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n` +
        `${lastEventId === undefined ? "" : `Last-Event-ID: ${lastEventId}\r\n`}\r\n`,
    );
    const onData = (text: string) => {
      rest += text;
      if (head !== undefined) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        head = rest.slice(0, end);
        if (!/^HTTP\/1\.1 200 /.test(head) || !/^content-type: text\/event-stream$/im.test(head))
          blame(`answered ${head.slice(0, 100)}`);
        connections++;
        head = undefined;
        rest = rest.slice(end + 4);
      }
      let start = 0;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n", start)) {
        readBlock(rest.slice(start, end));
        start = end + 2;
      }
      rest = rest.slice(start);
    };
    own.on("data", onData as never);
    own.on("error", () => {});
    own.once("close", () => {
      if (own !== socket) return;
      // Not ours: the server's, or the network's.
      closes++;
      comeBack();
      onClose?.();
    });
  };

  const cut = () => {
    const own = socket;
    socket = undefined;
    clearTimeout(coming);
    // What was on its way is lost, as with a cable that is pulled.
    own?.removeAllListeners("data");
    own?.destroy();
  };
  const comeBack = () => {
    clearTimeout(coming);
    coming = setTimeout(open, COME_BACK_MS * (0.5 + Math.random()));
  };

  open();
  return {
    events,
    gaps,
    problems,
    notices,
    retries,
    get connections() {
      return connections;
    },
    get closes() {
      return closes;
    },
    get lastEventId() {
      return lastEventId;
    },
    opened: async () => {
      await waitFor("a stream to open", () => frames > 0);
    },
    drop() {
      cut();
      comeBack();
    },
    sleep() {
      isAsleep = true;
      cut();
    },
    wake() {
      isAsleep = false;
      open();
    },
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
    [Symbol.dispose]() {
      isDone = true;
      cut();
    },
  };
}

/** Several readers that are open, ended together. */
export async function openReaders(
  count: number,
  options: ReaderOptions,
): Promise<Disposable & { readonly all: readonly Reader[] }> {
  const all = Array.from({ length: count }, () => openReader(options));
  const end = () => {
    for (const reader of all) reader[Symbol.dispose]();
  };
  try {
    await Promise.all(all.map((reader) => reader.opened()));
  } catch (error) {
    end();
    throw error;
  }
  return { all, [Symbol.dispose]: end };
}
