/** Child processes of tests: started on free ports, ready by a condition, ended by id. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
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
