/** The publisher: a process that sends numbered, stamped events at a steady rate, to a peer over HTTP or to where Millrace reads from. */
import { nowMicros } from "./clock.ts";
import { type Outlet, openOutlet, type PublishTarget } from "./outlet.ts";
import { FIRST_NUMBER, payload } from "./payload.ts";
import { answerCalls } from "./worker.ts";

let company = "";
let outlet: Outlet | undefined;
let number = FIRST_NUMBER;

function send(count: number): void {
  const events: string[] = [];
  for (let index = 0; index < count; index++) events.push(payload(company, number++, nowMicros()));
  outlet!.send(events);
}

async function settled(timeoutMs: number): Promise<void> {
  const deadline = nowMicros() + timeoutMs * 1000;
  while (outlet!.pending() > 0 && nowMicros() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 1));
  const failure = outlet!.failure();
  if (failure) throw new Error(`Publishing failed: ${failure}`);
}

const calls = {
  /** Connects; publishing starts over at number 1. */
  async open(target: PublishTarget, companyId: string): Promise<void> {
    outlet?.close();
    company = companyId;
    number = FIRST_NUMBER;
    outlet = await openOutlet(target);
  },

  /** Sends `rate` events a second, evenly, for `seconds`. Resolves with what was accepted, and how long that took. */
  async publish(rate: number, seconds: number): Promise<{ sent: number; ms: number }> {
    const startMicros = nowMicros();
    const wanted = Math.round(rate * seconds);
    let sent = 0;
    while (sent < wanted) {
      const due = Math.min(wanted, Math.floor(((nowMicros() - startMicros) * rate) / 1e6) + 1) - sent;
      if (due > 0) {
        send(due);
        sent += due;
      }
      const nextAtMs = (sent * 1000) / rate - (nowMicros() - startMicros) / 1000;
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.floor(nextAtMs))));
    }
    await settled(10_000);
    return { sent: sent - outlet!.pending(), ms: (nowMicros() - startMicros) / 1000 };
  },

  /** Sends `count` events as fast as they are taken. */
  async publishNow(count: number): Promise<void> {
    send(count);
    await settled(120_000);
  },

  close(): void {
    outlet?.close();
    outlet = undefined;
  },
};

export type PublisherCalls = typeof calls;

answerCalls(calls);
