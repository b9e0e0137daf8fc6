/** Millrace on a runtime, as a real process: its entry, started as the README says, on a free port. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type RunningProcess, start } from "./process.ts";
import { waitFor } from "./wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** `npm run pages`, which the README says to run before the entries, and without which they warn: once a process. The bundling for workerd does it by itself. */
export function writePages(): Promise<unknown> {
  pagesWritten ??= promisify(execFile)(process.execPath, [`${ROOT}web/build.ts`]);
  return pagesWritten;
}
let pagesWritten: Promise<unknown> | undefined;

/** The runtimes that are programs from npm; Deno is given the permissions of deno.json and no others. */
export type ProcessRuntime = "node" | "deno" | "bun";

/** The program of a runtime. */
export function programOf(runtime: ProcessRuntime): string {
  return runtime === "node" ? process.execPath : `${ROOT}node_modules/.bin/${runtime}`;
}

/** Undefined when the runtime can be run; else why not and the command that provides it. */
export function missingRuntime(runtime: ProcessRuntime): string | undefined {
  return existsSync(programOf(runtime)) ? undefined : `${runtime} is not installed: npm install`;
}

/**
 * The command that the README's way comes to: of `deno task start`, or `start:embedded` with the folder in DATA_DIR permitted, the program it
 * runs, as a SIGKILL of the task would leave that behind.
 */
function commandOf(runtime: ProcessRuntime, { DATA_DIR }: Record<string, string>): [string, ...string[]] {
  if (runtime !== "deno") return [programOf(runtime), `functions/entries/${runtime}.ts`];
  const { tasks } = JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")) as {
    tasks: Record<string, { command: string }>;
  };
  const { command } = tasks[DATA_DIR === undefined ? "start" : "start:embedded"]!;
  const [, inner] = /^sh -c "(exec deno .*)"$/.exec(command)!;
  return ["/bin/sh", "-c", inner!.replaceAll("=.millrace", `=${DATA_DIR}`)];
}

export interface RuntimeProcess extends AsyncDisposable {
  /** As it printed it, without a slash at the end. */
  readonly url: string;
  readonly process: RunningProcess;
  /** Everything printed so far, both channels. */
  output(): string;
  /** Sends the signal (default SIGTERM); resolves with the exit code when it is gone, null when the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Resolves when it is ready. `env` is added to this process's own; PORT is a free one unless given. @throws what it printed, when it ends before. */
export async function startRuntime(
  runtime: ProcessRuntime,
  env: Record<string, string>,
): Promise<RuntimeProcess> {
  const [program, ...args] = commandOf(runtime, env);
  const child = start(program, args, {
    cwd: ROOT,
    env: {
      ...{
        PATH: `${ROOT}node_modules/.bin:${process.env.PATH}`,
        HOST: "127.0.0.1",
        PORT: "0",
        LOG_LEVEL: "warn",
      },
      ...env,
    },
  });
  const url = await waitFor(`millrace on ${runtime} to be ready`, () => {
    const { exitCode, signalCode } = child.child;
    if (exitCode !== null || signalCode !== null) return "ended";
    return /^millrace ready (\S+)$/m.exec(child.output())?.[1];
  }).catch((error: unknown) => error);
  if (typeof url !== "string" || url === "ended") {
    await child.stop("SIGKILL");
    throw new Error(`Cannot start millrace on ${runtime}: ${child.output()}`, { cause: url });
  }
  return {
    url,
    process: child,
    output: child.output,
    async stop(signal) {
      await child.stop(signal);
      return child.child.exitCode;
    },
    kill: () => child.stop("SIGKILL"),
    [Symbol.asyncDispose]: () => child.stop("SIGKILL"),
  };
}
