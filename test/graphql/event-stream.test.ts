/** sendResults: when it writes, and whom it gives up. */
import { afterEach, describe, expect, it } from "vitest";
import { createOutput, sendResults } from "../../functions/graphql/event-stream.ts";
import type { Sink } from "../../functions/ports/hub.ts";
import { waitFor } from "../support/wait.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const end of open.splice(0)) end();
});

/** Results given one by one; ends with the output, as a subscription does. */
function start({ heartbeatMs = 60_000, idleTimeoutMs = 60_000, takes = true } = {}) {
  const output = createOutput();
  open.push(output.end);
  let give = (_: object) => {};
  const given = new ReadableStream<object>({
    start(controller) {
      give = (result) => controller.enqueue(result);
      output.signal.addEventListener("abort", () => controller.close());
    },
  });
  const sink: Sink = {
    onDrain() {},
    write(bytes) {
      state.texts.push(new TextDecoder().decode(bytes));
      return takes;
    },
    end() {
      state.ended = true;
    },
  };
  const state = {
    ...{ output, sink, texts: [] as string[], ended: false },
    give,
    done: Promise.resolve(),
  };
  const results = given as unknown as AsyncIterable<object>;
  state.done = sendResults({ sink, results, output, heartbeatMs, idleTimeoutMs });
  return state;
}

describe("sendResults", () => {
  it("says a comment whenever nothing went out for heartbeatMs, whatever its results do not say", async () => {
    const one = start({ heartbeatMs: 50 });
    await waitFor("two comments", () => one.texts.filter((text) => text === ":heartbeat\n\n").length === 2);
    one.give({ data: { a: 1 } });
    await waitFor("the result", () => one.texts.some((text) => text.includes('"a":1')));
    const { length } = one.texts;
    await waitFor("another", () => one.texts.length > length);
  });

  it("cuts a client that takes nothing for idleTimeoutMs, also when there is nothing to say to it", async () => {
    const one = start({ idleTimeoutMs: 50, heartbeatMs: 10, takes: false });
    await one.done;
    expect(one.output.signal.aborted).toBe(true);
    expect([one.texts, one.ended]).toEqual([[":\n\n"], true]);
  });

  it("does not cut one that takes what it is sent, however slowly", async () => {
    const one = start({ idleTimeoutMs: 200, takes: false });
    const drain = setInterval(() => one.sink.onDrain(), 20);
    for (let n = 0; n < 20; n++) one.give({ data: { n } });
    try {
      await waitFor("all of them", () => one.texts.join("").includes('"n":19'));
      expect(one.output.signal.aborted).toBe(false);
    } finally {
      clearInterval(drain);
    }
  });

  it("keeps nothing of the times its client was full", async () => {
    const one = start({ takes: false });
    const { then } = Promise.prototype;
    // Reactions to a promise that outlives the wait are what would be kept.
    const reactions = new Map<object, number>();
    const name = "then";
    Reflect.set(
      Promise.prototype,
      name,
      function (this: Promise<unknown>, ...given: Parameters<typeof then>) {
        reactions.set(this, (reactions.get(this) ?? 0) + 1);
        return then.apply(this, given);
      },
    );
    try {
      for (let n = 0; n < 200; n++) {
        one.give({ data: { n } });
        await new Promise((resolve) => setTimeout(resolve, 0));
        one.sink.onDrain();
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      Reflect.set(Promise.prototype, name, then);
    }
    expect(Math.max(0, ...reactions.values())).toBeLessThan(10);
  });
});
