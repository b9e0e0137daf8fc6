/** What the verbs of one connection share. */
import { CC, GMO, MO, OO, PMO, RC } from "./constants.ts";
import type { Manager, OpenHandle, UnitOfWork } from "./manager.ts";

export interface Answer {
  readonly code: number;
  readonly reason: number;
  readonly fields?: readonly (number | string | Uint8Array)[];
}

/** A connection as its verbs see it. */
export interface Context {
  readonly manager: Manager;
  readonly unit: UnitOfWork;
  readonly handles: ReadonlyMap<number, OpenHandle>;
  readonly info: { readonly user: string; readonly applName: string };
  /** The reason a queue manager that ends gives; 0 while it runs. */
  endingReason(): number;
  /** Whether the user may, on a queue or (undefined) on the queue manager. */
  may(queue: string | undefined, authority: string): boolean;
  /** Handles of all connections on a queue with one of the MQOO_ flags. */
  countOpen(queue: string, flags: number): number;
}

export const INPUT = OO.INPUT_AS_Q_DEF | OO.INPUT_SHARED | OO.INPUT_EXCLUSIVE;

const all = (options: Readonly<Record<string, number>>) =>
  Object.values(options).reduce((sum, flag) => sum | flag, 0);

/** What the stand-in knows of each; other options are refused, so that nothing seems to work that does not. */
export const KNOWN = { OO: all(OO), PMO: all(PMO), GMO: all(GMO), MO: all(MO) };

export const failed = (reason: number): Answer => ({ code: CC.FAILED, reason });
export const DONE: Answer = { code: CC.OK, reason: RC.NONE };

/** Context is a right on both the queue and the queue manager (IBM MQ, "Authorizations for context"). */
export const maySetContext = ({ may }: Context, queue: string | undefined, authority: "SETALL" | "SETID") =>
  may(queue, authority) && may(undefined, authority);
