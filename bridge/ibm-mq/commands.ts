/** The channel to the bridge, as the processes that load the native client see it. */
import { setImmediate as nextTurn } from "node:timers/promises";

export interface Commands<Command, Report> {
  /** The next command; undefined when the bridge is gone. */
  next(): Promise<Command | undefined>;
  /** Commands that have come in. */
  waiting(): number;
  /** Lets commands come in that were sent during a blocking call. */
  hear(): Promise<void>;
  /** Resolves when it is on its way. */
  report(report: Report): Promise<void>;
  /** The bridge is gone: nobody can settle what is held. */
  readonly isAlone: boolean;
}

/** @param intercept Returns true for a command that it has dealt with at once. */
export function listenToBridge<Command, Report>(
  intercept: (command: Command) => boolean = () => false,
): Commands<Command, Report> {
  const inbox: Command[] = [];
  let isAlone = false;
  let wake = () => {};
  process.on("message", (command: Command) => {
    if (intercept(command)) return;
    inbox.push(command);
    wake();
  });
  process.on("disconnect", () => {
    isAlone = true;
    wake();
  });
  // Ctrl-C reaches every process of a terminal: the bridge says when to stop, after it has stored what it holds.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  return {
    async next() {
      while (inbox.length === 0 && !isAlone) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return isAlone ? undefined : inbox.shift();
    },
    waiting: () => inbox.length,
    hear: () => nextTurn(),
    report(report) {
      return new Promise((resolve) => {
        // A bridge that has just gone is noticed by its disconnect.
        if (process.connected) process.send?.(report, undefined, undefined, () => resolve());
        else resolve();
      });
    },
    get isAlone() {
      return isAlone;
    },
  };
}
