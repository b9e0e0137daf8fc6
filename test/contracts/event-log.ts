/**
 * The contract of the EventLog port (functions/ports/event-log.ts), run by every adapter on its real store. Each test has companies
 * of its own, so they share one back end; those that break the store have one to themselves.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { describeAppend } from "./event-log-append.ts";
import { describeRead } from "./event-log-read.ts";
import { describeStore } from "./event-log-store.ts";
import { type EventLogBackend, type EventLogContract, LASTING, type Tests } from "./event-log-support.ts";
import { describeTail } from "./event-log-tail.ts";
import { describeViews } from "./event-log-views.ts";

export function describeEventLog({ name, create, restarts, skip }: EventLogContract): void {
  describe(`EventLog on ${name}`, () => {
    let backend: EventLogBackend;
    let log: EventLog;
    let other: EventLog;

    beforeAll(async () => {
      if (skip !== undefined) return;
      backend = await create(LASTING);
      log = await backend.open();
      other = await backend.open();
    });
    afterAll(async () => {
      await backend?.[Symbol.asyncDispose]();
    });

    const tests: Tests = {
      test: (title, body) =>
        it(title, async (context) => {
          if (skip !== undefined) context.skip(skip);
          await body({ backend, log, other });
        }),
      testStore: (title, options, body) =>
        it(title, async (context) => {
          if (skip !== undefined) context.skip(skip);
          await using own = await create({ ...LASTING, ...options });
          await body(own, await own.open(), await own.open());
        }),
    };
    describeAppend(tests);
    describeRead(tests);
    describeTail(tests);
    describeViews(tests);
    describeStore(tests, { restarts });
  });
}
