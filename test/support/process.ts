/** Child processes of tests: started on free ports, ready by a condition, ended by id. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the ports that Linux gives to outgoing connections and to `listen(0)` (32768 and up, ip(7)): one of those may be taken between the
 * question and the start of a server that needs seconds for it, or while a server is killed and started again. A worker has a range of its own.
 */
const PORTS = { first: 10_240, each: 1_400, workers: 16 };
const range = PORTS.first + (Number(process.env.VITEST_POOL_ID ?? 0) % PORTS.workers) * PORTS.each;
let next = Math.floor(Math.random() * PORTS.each);

/** A port nobody listens on now, and that this process has not given before. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORTS.each; tried++) {
    const port = range + (next++ % PORTS.each);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await Promise.race([
      once(server, "listening").then(() => true),
      once(server, "error").then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`Cannot find a free port from ${range} to ${range + PORTS.each - 1}`);
}

export interface RunningProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything printed so far, both channels. */
  output(): string;
  /** Sends the signal (default SIGTERM) and resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a program. Its output is kept for error messages. */
export function start(
  command: string,
  args: readonly string[],
  { env, cwd }: { env?: Record<string, string>; cwd?: string } = {},
): RunningProcess {
  const child = spawn(command, args, {
    // Debian keeps servers where only root's PATH looks.
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...env },
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let text = "";
  const keep = (chunk: Buffer) => {
    text = (text + chunk).slice(-200_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("error", (error) => {
    text += String(error);
  });
  const gone = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  void gone.then(() => running.delete(child));
  return {
    child,
    pid: child.pid ?? -1,
    output: () => text,
    async stop(signal = "SIGTERM") {
      if (running.has(child)) child.kill(signal);
      await gone;
    },
  };
}
