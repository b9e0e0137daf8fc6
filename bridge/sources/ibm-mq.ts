/**
 * A stream queue of IBM MQ, read destructively in units of work: a batch is committed after the log has taken it, so at least once. What
 * was not committed when a bridge dies is backed out by the queue manager and comes again, with the MsgId it had: the log stores it
 * once. So does a message whose commit ended in a lost connection and was done all the same.
 *
 * Only a stream queue is a copy. What the bridge takes from any other queue its application never gets, so a queue that has a stream
 * queue itself is refused.
 *
 * One process a source holds the native client and the connection (bridge/ibm-mq/). One unit of work is open at a time: a commit is
 * the connection's, so what a second one had got would be committed along with it. Messages not acked stay in it, `batchMessages` at
 * the most.
 *
 * One bridge on the queue keeps its order. Messages of a unit of work that was backed out come again one at a time, ahead of what
 * follows; at the queue's backout threshold (BOTHRESH) a message goes to its backout queue (BOQNAME), or to the dead letters where
 * there is none.
 */
import type { BrokerSource, Decode, Decoded, RawMessage } from "../../functions/ports/broker-source.ts";
import { type ConsumerOptions, type MqConsumer, openConsumer } from "../ibm-mq/consumer.ts";
import type { MqMessage } from "../ibm-mq/protocol.ts";
import { refuseSourceQueue } from "../ibm-mq/source-queue.ts";
import type { SourceEvents } from "../source-monitor.ts";

export interface IbmMqOptions extends ConsumerOptions {
  /** Messages in a unit of work, at most. */
  readonly batchMessages: number;
  readonly decode: Decode;
  readonly events: SourceEvents;
}

/** What was got since the last commit. */
interface Unit {
  /** Messages in it. */
  messages: number;
  /** Batches handed out of it and not settled, and the fetch that is under way. */
  open: number;
  isRefused: boolean;
}

export function createIbmMqSource(options: IbmMqOptions): BrokerSource {
  const { name, queue, batchMessages, decode, events } = options;
  let current: MqConsumer | undefined;
  return {
    name,
    acknowledges: true,
    lag: async () => await current?.depth(),
    async *deliveries(signal) {
      if (signal.aborted) return;
      const consumer = await openConsumer(options, signal);
      if (!consumer) return;
      let isLost = false;
      // Of the wait for room: when a unit is settled, on abort, and when the process has ended.
      let wake = () => {};
      const onAbort = () => wake();
      consumer.lost.catch(() => {
        isLost = true;
        wake();
      });
      signal.addEventListener("abort", onAbort, { once: true });
      let unit = newUnit();
      let isFetching = false;
      const leave = (left: Unit) => {
        left.open--;
        // A commit would take what the fetch under way has got along with it.
        if (left.open === 1 && isFetching) consumer.cancel();
        if (left.open > 0 || left.messages === 0) return;
        consumer.settle(left.isRefused ? "back" : "commit");
        unit = newUnit();
        wake();
      };
      try {
        refuseSourceQueue(queue, consumer.queue.streamQueue);
        current = consumer;
        events.connected();
        while (!signal.aborted) {
          const mine = unit;
          const room = batchMessages - mine.messages;
          if (room <= 0 && !isLost) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            continue;
          }
          mine.open++;
          isFetching = true;
          const messages = await consumer.fetch(room);
          isFetching = false;
          if (messages.length === 0) {
            leave(mine);
            continue;
          }
          mine.messages += messages.length;
          let isSettled = false;
          const settle = (isRefused: boolean) => {
            if (isSettled) return;
            isSettled = true;
            mine.isRefused ||= isRefused;
            leave(mine);
          };
          yield {
            deliveries: messages.map((message) => decodeMessage(message, queue, decode)),
            ack: async () => settle(false),
            nack: async () => settle(true),
          };
        }
      } finally {
        signal.removeEventListener("abort", onAbort);
        current = undefined;
        await consumer[Symbol.asyncDispose]();
      }
    },
  };
}

const newUnit = (): Unit => ({
  messages: 0,
  open: 0,
  isRefused: false,
});

function decodeMessage(message: MqMessage, queue: string, decode: Decode): Decoded {
  const raw = toRaw(message, queue);
  const { worn } = message;
  if (!worn) return decode(raw);
  const reason = `Cannot process message "${message.id}": backed out ${worn.count} times, expected fewer than the ${worn.threshold} of BOTHRESH (${worn.why})`;
  return { undecodable: { reason, message: raw } };
}

/** Headers are the message's properties, and of its descriptor what tells how to read it and when it was put (no property has a `-`). */
function toRaw(message: MqMessage, queue: string): RawMessage {
  const { id, body, properties, format, ccsid, putDate, putTime } = message;
  const headers: Record<string, string> = {
    "mq-format": format,
    "mq-ccsid": String(ccsid),
    "mq-put-time": toTime(putDate, putTime),
  };
  for (const [name, value] of Object.entries(properties)) headers[name.toLowerCase()] = value;
  return { subject: queue, headers, body, messageId: id };
}

/** `20260131` and `23595912` of Greenwich as RFC 3339; empty when they are something else. */
function toTime(date: string, time: string): string {
  const parts = /^(\d{4})(\d\d)(\d\d) (\d\d)(\d\d)(\d\d)(\d\d)$/.exec(`${date} ${time}`);
  if (!parts) return "";
  const [, year, month, day, hour, minute, second, hundredths] = parts;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.${hundredths}Z`;
}
