/** Whether the event log answers, for those who want to know now. */
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { within } from "./within.ts";

/** Milliseconds a probe waits for the log: orchestrators give up on a probe after a few seconds and learn less from that. */
const PROBE_MS = 2_000;

/** The answer; undefined: there is none. Why, and so where the log is, is for the operator's log and not for whoever asks. */
export async function askLog<T>(question: Promise<T>, logger: Logger): Promise<T | undefined> {
  try {
    return await within(PROBE_MS, "reach the event log", question);
  } catch (error) {
    logger.warn({ reason: describeError(error) }, "Health probe: the event log does not answer");
    return undefined;
  }
}
