import { expect, test } from "vitest";
import { countFrames, newFrameCounter } from "./lib/frame-counter.ts";
import { FIRST_NUMBER, numberOf, payload, sentMicrosOf } from "./lib/payload.ts";

const EVENTS = 12;

/** Events as the systems send them, among the frames that are none. */
function stream(): Buffer {
  let text = "retry: 3000\n\n: hi\n\n";
  for (let index = 0; index < EVENTS; index++) {
    const data = payload("bench", FIRST_NUMBER + index, 1000 + index);
    if (index % 3 === 0) text += `id: abc.1732150000000-${index}\n\n`;
    if (index % 4 === 0) text += ":heartbeat\n\n";
    // Millrace and nchan end with the data, Hono with the id.
    text +=
      index % 2 === 0
        ? `event: metric_updated\nid: abc.${index * 13}\ndata: ${data}\n\n`
        : `event: metric_updated\ndata: ${data}\nid: ${index * 17}\n\n`;
  }
  return Buffer.from(text);
}

test("countFrames counts every event once wherever the bytes are cut, and reads its number and stamp", () => {
  const bytes = stream();
  const reused = Buffer.alloc(bytes.length);
  for (let first = 0; first < bytes.length; first++) {
    for (let second = first; second < bytes.length; second += 37) {
      const counter = newFrameCounter();
      const seen: string[] = [];
      for (const [from, to] of [
        [0, first],
        [first, second],
        [second, bytes.length],
      ] as const) {
        if (from === to) continue;
        bytes.copy(reused, 0, from, to);
        countFrames(counter, reused, to - from, (at, end) =>
          seen.push(`${numberOf(at, end) - FIRST_NUMBER}@${sentMicrosOf(at, end) - 1000}`),
        );
      }
      const wanted = Array.from({ length: EVENTS }, (_, index) => `${index}@${index}`);
      if (counter.events !== EVENTS || seen.join() !== wanted.join()) {
        expect({ first, second, events: counter.events, seen }).toEqual({ events: EVENTS, seen: wanted });
      }
    }
  }
});
