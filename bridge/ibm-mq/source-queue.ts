/** The queues of applications are not the bridge's to read. */
import { MillraceError } from "../../functions/core/errors.ts";

/**
 * @param streamQueue What the queue has in STREAMQ: only a queue that applications put to has one, a stream queue's is ignored.
 * @throws MillraceError `invalid-settings` when it is such a queue.
 */
export function refuseSourceQueue(queue: string, streamQueue: string): void {
  if (streamQueue === "") return;
  throw new MillraceError(
    "invalid-settings",
    `Cannot read from queue "${queue}": it has a stream queue (STREAMQ), so its messages are its application's, expected that stream queue, "${streamQueue}"`,
  );
}
