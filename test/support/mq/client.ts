/** A program of its own that makes MQI calls through the real ibmmq package, for tests to tell what to call and to kill. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { GMO, OO, OT, PMO } from "./constants.ts";
import { PRODUCER, type StandIn } from "./stand-in.ts";

export interface ConnectOptions {
  /** `host(port)`. */
  readonly address: string;
  readonly queueManager: string;
  readonly channel: string;
  readonly user?: string;
  readonly password?: string;
  readonly applName?: string;
  /** Instead of address and channel. */
  readonly ccdt?: string;
  readonly cipher?: string;
  readonly keyRepository?: string;
}

export interface PutOptions {
  /** MQPMO_ flags (default: no syncpoint). */
  readonly options?: number;
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  readonly priority?: number;
  readonly persistence?: number;
  /** Hex, both. */
  readonly msgId?: string;
  readonly correlId?: string;
  /** Tenths of a second. */
  readonly expiry?: number;
}

export interface GetOptions {
  /** MQGMO_ flags (default: no syncpoint). */
  readonly options?: number;
  readonly waitMs?: number;
  readonly msgId?: string;
  readonly correlId?: string;
  /** Bytes of the buffer. */
  readonly size?: number;
  /** Asks for the properties in a message handle. */
  readonly hasHandle?: boolean;
}

export interface Got {
  readonly body: string;
  /** Bytes of the whole message. */
  readonly length: number;
  /** Reason of a warning; 0: none. */
  readonly warning: number;
  readonly msgId: string;
  readonly correlId: string;
  readonly backoutCount: number;
  readonly priority: number;
  readonly persistence: number;
  readonly expiry: number;
  readonly user: string;
  readonly applName: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What the child does; connections and objects are numbers. Each rejects with `{ reason }`, the MQRC. */
export interface Requests {
  connect(options: ConnectOptions): Promise<number>;
  open(connection: number, name: string, options: number, type: number): Promise<number>;
  /** Gives the message id. */
  put(
    connection: number,
    target: { object: number } | { queue: string },
    body: string,
    options: PutOptions,
  ): Promise<string>;
  get(connection: number, object: number, options: GetOptions): Promise<Got>;
  inquire(object: number, selectors: readonly number[]): Promise<(string | number)[]>;
  commit(connection: number): Promise<void>;
  back(connection: number): Promise<void>;
  close(object: number): Promise<void>;
  disconnect(connection: number): Promise<void>;
  /** Path of the MQI library that is loaded. */
  library(): Promise<string | undefined>;
}

/** What the child says of a request. */
export interface Report {
  readonly id: number;
  readonly value?: unknown;
  /** Of an MQI call that failed. */
  readonly reason?: number;
  readonly message?: string;
}

export interface Client extends Requests, AsyncDisposable {
  readonly process: ChildProcess;
  kill(): Promise<void>;
}

/** Starts the program with the stand-in's library. */
export function startClient(standIn: StandIn): Client {
  const child = fork(fileURLToPath(new URL("client-process.ts", import.meta.url)), [], {
    env: { ...process.env, ...standIn.env },
    serialization: "advanced",
  });
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  let last = 0;
  child.on("message", ({ id, value, reason, message }: Report) => {
    const promise = pending.get(id);
    pending.delete(id);
    if (message === undefined) promise?.resolve(value);
    else promise?.reject(Object.assign(new Error(message), { reason }));
  });
  const gone = once(child, "exit").then(([code, signal]) => {
    for (const promise of pending.values()) promise.reject(new Error(`The client ended: ${code ?? signal}`));
  });
  const request =
    (name: keyof Requests) =>
    (...args: unknown[]) => {
      const promise = Promise.withResolvers<unknown>();
      pending.set(++last, promise);
      child.send({ id: last, name, args });
      return promise.promise as Promise<never>;
    };
  const kill = async () => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await gone;
  };
  return {
    process: child,
    ...{ connect: request("connect"), open: request("open"), put: request("put"), get: request("get") },
    ...{ inquire: request("inquire"), commit: request("commit"), back: request("back") },
    ...{ close: request("close"), disconnect: request("disconnect"), library: request("library") },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** One connection with the queues it opened by name. */
export interface Program {
  readonly connection: number;
  put(queue: string, body: string, options?: PutOptions): Promise<string>;
  /** In syncpoint. */
  putInUnit(queue: string, body: string): Promise<string>;
  get(queue: string, options?: GetOptions): Promise<Got>;
  /** In syncpoint, waiting (default 0 ms). */
  getInUnit(queue: string, waitMs?: number): Promise<Got>;
  inquire(queue: string, ...selectors: number[]): Promise<(string | number)[]>;
  commit(): Promise<void>;
  back(): Promise<void>;
  disconnect(): Promise<void>;
}

/** Connects as the given user (default the producer); queues are opened when first used. */
export async function connectProgram(
  client: Client,
  standIn: StandIn,
  who: Pick<ConnectOptions, "channel" | "user" | "password"> = PRODUCER,
): Promise<Program> {
  const { host, port, queueManager } = standIn;
  const connection = await client.connect({ address: `${host}(${port})`, queueManager, ...who });
  const opened = new Map<string, Promise<number>>();
  const open = (queue: string, options: number) => {
    const key = `${queue} ${options}`;
    const object = opened.get(key) ?? client.open(connection, queue, options | OO.FAIL_IF_QUIESCING, OT.Q);
    opened.set(key, object);
    object.catch(() => opened.delete(key));
    return object;
  };
  const put = async (queue: string, body: string, options: PutOptions = {}) =>
    client.put(connection, { object: await open(queue, OO.OUTPUT) }, body, options);
  const get = async (queue: string, options: GetOptions = {}) =>
    client.get(connection, await open(queue, OO.INPUT_SHARED), options);
  return {
    connection,
    put,
    putInUnit: (queue, body) => put(queue, body, { options: PMO.SYNCPOINT }),
    get,
    getInUnit: (queue, waitMs = 0) => get(queue, { options: GMO.SYNCPOINT, waitMs }),
    inquire: async (queue, ...selectors) =>
      client.inquire(await open(queue, OO.INPUT_SHARED | OO.INQUIRE), selectors),
    commit: () => client.commit(connection),
    back: () => client.back(connection),
    disconnect: () => client.disconnect(connection),
  };
}
