/** Messages that came back for want of a queue (AMQP 0-9-1, basic.return). */
import type { OutgoingMessage } from "./message.ts";

/** Keeps those that the broker has returned and is about to ack: it returns them before the ack, and without their number. */
export function createReturns() {
  const times = new Map<string, number>();
  const keyOf = (routingKey: string, messageId: unknown) => `${routingKey} ${String(messageId)}`;
  return {
    add(routingKey: string, messageId: unknown) {
      const key = keyOf(routingKey, messageId);
      times.set(key, (times.get(key) ?? 0) + 1);
    },
    /** Whether the message was returned; tells it once. */
    take({ routingKey, messageId }: OutgoingMessage): boolean {
      const key = keyOf(routingKey, messageId);
      const count = times.get(key) ?? 0;
      if (count > 1) times.set(key, count - 1);
      else times.delete(key);
      return count > 0;
    },
    clear: () => times.clear(),
  };
}
