/** A process that loads the native client, as the bridge sees it. Stopped by message; killed when that does not help. */
import { fork } from "node:child_process";
import type { MqFailure } from "./errors.ts";

/** Milliseconds a process has to back out and disconnect: more than one get waits, and what a queue manager far away takes. */
const STOP_MS = 5000;
/** Characters of its error output that are kept. */
const OUTPUT_CHARS = 2000;

export interface MqChild<Command> {
  /** Ignored once the process has ended. */
  send(command: Command): void;
  /** Resolves when the process has ended, with what it said last; undefined when it was told to stop. Never rejects. */
  readonly ended: Promise<MqFailure | undefined>;
  /** Any number of times. Resolves when it has ended. @param graceMs Then it is killed. Default 5000. */
  stop(graceMs?: number): Promise<void>;
}

/**
 * @param module The program, as `import.meta.resolve` names it.
 * @param onReport Whatever it reports, but for `failed`.
 */
export function startMqChild<
  Command extends { readonly do: string },
  Report extends { readonly is: string } | { readonly is: "failed"; readonly failure: MqFailure },
>(module: URL, onReport: (report: Exclude<Report, { readonly is: "failed" }>) => void): MqChild<Command> {
  const child = fork(module, {
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let failure: MqFailure | undefined;
  let isStopping = false;
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_CHARS);
  });
  child.on("message", (message) => {
    const report = message as Report;
    if (report.is === "failed" && "failure" in report) failure = report.failure;
    else onReport(report as Exclude<Report, { readonly is: "failed" }>);
  });
  const { promise: ended, resolve } = Promise.withResolvers<MqFailure | undefined>();
  child.on("error", (error) => {
    failure ??= { kind: "process", detail: error.message };
    if (child.pid === undefined) resolve(failure);
  });
  child.on("close", (code, signal) => {
    const detail = [signal ?? `exit code ${code}`, lastLine(output)].filter(Boolean).join(": ");
    resolve(failure ?? (isStopping ? undefined : { kind: "process", detail }));
  });
  const send = (command: Command | { readonly do: "stop" }) => {
    // What cannot be sent is answered by its end.
    if (child.connected) child.send(command, () => {});
  };
  return {
    send,
    ended,
    async stop(graceMs = STOP_MS) {
      isStopping = true;
      send({ do: "stop" });
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function lastLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.findLast((line) => /error/i.test(line)) ?? lines.findLast(Boolean) ?? "";
}
