/**
 * What the bridge and the processes that load the native client say to each other, over the channel of `child_process.fork` with
 * advanced serialization.
 */
import type { MqConnection } from "./connection.ts";
import type { MqFailure } from "./errors.ts";

/** To the consumer process. Heard between two gets. */
export type ConsumerCommand =
  /** The first one, once. Answered by `connected`. */
  | {
      readonly do: "connect";
      readonly connection: MqConnection;
      readonly queue: string;
      /** Milliseconds that other readers of the queue are given to go. */
      readonly outlastMs: number;
    }
  /** Get up to `room` messages more into the unit of work. Answered by one `batch`, as soon as there is a message. */
  | { readonly do: "fetch"; readonly room: number }
  /** Answer a `fetch` now, with what there is. */
  | { readonly do: "cancel" }
  /** Settle the unit of work. */
  | { readonly do: "commit" }
  | { readonly do: "back" }
  /** Answered by `depth`. */
  | { readonly do: "inquire-depth" }
  /** Back out what is not committed, disconnect, end. */
  | { readonly do: "stop" };

export type ConsumerReport =
  | { readonly is: "connected"; readonly queue: QueueFacts }
  /** Empty after a `cancel`. */
  | { readonly is: "batch"; readonly messages: readonly MqMessage[] }
  /** A message went to the backout queue, in the unit of work it was got in. */
  | { readonly is: "moved"; readonly messageId: string; readonly backoutCount: number; readonly to: string }
  | { readonly is: "depth"; readonly messages: number | undefined }
  /** The last one: the process ends. */
  | { readonly is: "failed"; readonly failure: MqFailure };

/** Of a queue, when it was opened. */
export interface QueueFacts {
  /** Messages on it. */
  readonly depth: number | undefined;
  /** 0: none. */
  readonly backoutThreshold: number;
  /** Empty: none. */
  readonly backoutQueue: string;
  /** Empty: none. A queue that has one is the application's own. */
  readonly streamQueue: string;
}

export interface MqMessage {
  /** MsgId in hex; of a segment that is not the first with its offset. */
  readonly id: string;
  /** A warning of the get does not keep a message here: it has been taken, so it is handed on. */
  readonly body: Uint8Array;
  /** Names as they were set. */
  readonly properties: Readonly<Record<string, string>>;
  /** Of the body, as its sender says it. */
  readonly format: string;
  readonly ccsid: number;
  /** `YYYYMMDD` and `HHMMSSTH`, of Greenwich. */
  readonly putDate: string;
  readonly putTime: string;
  /** It was backed out too often, and could not be put to a backout queue. */
  readonly worn: { readonly count: number; readonly threshold: number; readonly why: string } | undefined;
}

/** To the producer process. */
export type ProducerCommand =
  | { readonly do: "connect"; readonly connection: MqConnection }
  | {
      readonly do: "put";
      readonly queue: string;
      /** 24 bytes. */
      readonly messageId: Uint8Array;
      readonly company: string | undefined;
      readonly body: Uint8Array;
    }
  /** Commit what was put, disconnect, end. */
  | { readonly do: "stop" };

export type ProducerReport =
  | { readonly is: "connected" }
  /** So many more messages are on their queues. */
  | { readonly is: "committed"; readonly messages: number }
  | { readonly is: "failed"; readonly failure: MqFailure };
