/** A sender of text messages: its status, every 30 seconds, is its statistics. */
import { line, type Said, type World } from "./service-demos.ts";
import { between, pick } from "./walk.ts";

/** Seconds between two statistics. */
const INTERVAL = 30;
const PROVIDERS = ["northtel", "blue-sms", "relay"];
/** Lines between two statistics. */
const LINES = 4;

/** Counts since the start; with `sms` in it a status is told from others. */
export function* smsSender({ random, now }: World): Generator<Said, never> {
  const providers = Object.fromEntries(PROVIDERS.map((name) => [name, { sent: 0, delivered: 0, failed: 0 }]));
  const sum = (count: "sent" | "delivered" | "failed") =>
    Object.values(providers).reduce((total, of) => total + of[count], 0);
  const stepMs = (INTERVAL * 1000) / (LINES + 1);
  for (;;) {
    for (const of of Object.values(providers)) {
      const sent = between(10, 90, random);
      const failed = between(0, Math.ceil(sent / 20), random);
      of.sent += sent;
      of.failed += failed;
      of.delivered += sent - failed;
    }
    const sms = { sent: sum("sent"), delivered: sum("delivered"), failed: sum("failed") };
    const queueSize = between(0, 30, random);
    const status = { state: queueSize > 0 ? "running" : "idle", queueSize, processed: sms.sent };
    yield {
      status: {
        ...status,
        interval: INTERVAL,
        lastRun: now(),
        sms: { ...sms, providers: structuredClone(providers) },
      },
      ...{ thenMs: stepMs, isFirm: true },
    };
    for (let n = 0; n < LINES; n++) {
      const provider = pick(PROVIDERS, random);
      const said =
        random() < 0.15
          ? line("warn", `${provider} refused ${between(1, 5, random)} messages, queued again`, stepMs)
          : line("info", `${between(5, 40, random)} messages handed to ${provider}`, stepMs);
      yield { ...said, isFirm: true };
    }
  }
}
