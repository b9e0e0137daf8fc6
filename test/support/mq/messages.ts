/** The messages of the queues: their order, what is hidden by a unit of work, and who waits. */
import { MD } from "./constants.ts";

export interface Message {
  /** Rises with every put: the order within a priority. */
  readonly number: number;
  readonly queue: string;
  readonly priority: number;
  readonly isPersistent: boolean;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
  /** MQMD of version 2. */
  readonly md: Buffer;
  /** As the shim writes them. */
  readonly properties: Buffer;
  readonly body: Buffer;
  backoutCount: number;
  /** Hidden from others: put or got in a unit of work that is not committed. */
  isHidden: boolean;
  isGot: boolean;
}

/** Which message a get takes; an undefined id stands for any. */
export interface Match {
  readonly msgId: Buffer | undefined;
  readonly correlId: Buffer | undefined;
}

export interface Waiter {
  readonly queue: string;
  readonly match: Match;
  /** Called when a message for it may be there, or the queue manager ends. */
  wake(): void;
  /** Its connection is gone. */
  cancel(): void;
}

export interface MessageStore {
  /** CURDEPTH: uncommitted puts count, uncommitted gets do not (IBM MQ, "CurrentQDepth"). */
  depth(queue: string): number;
  add(message: Message): void;
  remove(message: Message): void;
  /** The next one that is not hidden, by priority and then by age. */
  next(queue: string, match: Match): Message | undefined;
  /** It was got in a unit of work. */
  hide(message: Message): void;
  /** Shows it again and wakes the first that waits for it. */
  show(message: Message): void;
  all(queue?: string): Message[];
  readonly waiters: Set<Waiter>;
}

const HIGHEST = 9;

const fits = ({ md }: Message, { msgId, correlId }: Match): boolean =>
  (!msgId || md.subarray(MD.MSG_ID, MD.MSG_ID + 24).equals(msgId)) &&
  (!correlId || md.subarray(MD.CORREL_ID, MD.CORREL_ID + 24).equals(correlId));

export function createMessageStore(onExpired: (message: Message) => void): MessageStore {
  /** A queue's messages by priority, each in the order of their numbers. */
  const queues = new Map<string, Map<number, Message>[]>();
  const got = new Map<string, number>();
  const waiters = new Set<Waiter>();
  const bands = (queue: string) => {
    const known = queues.get(queue) ?? Array.from({ length: HIGHEST + 1 }, () => new Map<number, Message>());
    queues.set(queue, known);
    return known;
  };
  const countGot = (queue: string, by: number) => got.set(queue, (got.get(queue) ?? 0) + by);
  const wakeFor = (message: Message) => {
    for (const waiter of waiters) {
      if (waiter.queue !== message.queue || !fits(message, waiter.match)) continue;
      waiter.wake();
      if (message.isHidden || !bands(message.queue)[message.priority]!.has(message.number)) return;
    }
  };
  const store: MessageStore = {
    waiters,
    depth: (queue) => bands(queue).reduce((sum, band) => sum + band.size, 0) - (got.get(queue) ?? 0),
    add(message) {
      bands(message.queue)[message.priority]!.set(message.number, message);
      if (!message.isHidden) wakeFor(message);
    },
    remove(message) {
      bands(message.queue)[message.priority]!.delete(message.number);
      if (message.isGot) countGot(message.queue, -1);
      message.isGot = false;
    },
    next(queue, match) {
      const now = Date.now();
      for (let priority = HIGHEST; priority >= 0; priority--) {
        for (const message of bands(queue)[priority]!.values()) {
          if (message.isHidden || !fits(message, match)) continue;
          if (message.expiresAt === undefined || message.expiresAt > now) return message;
          store.remove(message);
          onExpired(message);
        }
      }
      return undefined;
    },
    hide(message) {
      message.isHidden = true;
      message.isGot = true;
      countGot(message.queue, 1);
    },
    show(message) {
      if (message.isGot) countGot(message.queue, -1);
      message.isGot = false;
      message.isHidden = false;
      wakeFor(message);
    },
    all: (queue) =>
      [...(queue === undefined ? queues.values() : [bands(queue)])].flatMap((q) =>
        q.toReversed().flatMap((band) => [...band.values()]),
      ),
  };
  return store;
}
