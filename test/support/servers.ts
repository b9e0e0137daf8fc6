/**
 * Real servers for tests: redis-server, nats-server, each a process of its own on a free port with its data in a folder of
 * its own. `missing(program)` is the reason a test is skipped where the program is not there.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { freePort, type RunningProcess, start } from "./process.ts";
import { waitFor } from "./wait.ts";

/** Undefined when the program can be run; else why not and the command that provides it. */
export function missing(
  program:
    | "redis-server"
    | "nats-server"
    | "rabbitmq-server"
    | "nginx"
    | "chromium"
    | "openssl"
    | "prometheus",
): string | undefined {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return undefined;
    } catch {}
  }
  return `${program} is not installed: apt-get install ${program}`;
}

/** Whether something accepts connections. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  process(): RunningProcess;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. `wipe` deletes the data first. */
  restart(options?: { wipe?: boolean }): Promise<void>;
}

/** A server of its own on a free port; its data survive a restart. */
export async function startServer(
  name: string,
  scheme: string,
  run: (port: number, folder: string) => RunningProcess,
): Promise<TestServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), `millrace-${name}-`));
  const data = join(folder, "data");
  let current: RunningProcess;
  const up = async () => {
    mkdirSync(data, { recursive: true });
    current = run(port, data);
    await waitFor(`${name} on port ${port}`, async () => {
      if (current.child.exitCode !== null) throw new Error(current.output());
      return accepts(port);
    });
  };
  await up();
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    folder: data,
    process: () => current,
    kill: () => current.stop("SIGKILL"),
    async restart({ wipe = false } = {}) {
      await current.stop("SIGKILL");
      if (wipe) rmSync(data, { recursive: true });
      await up();
    },
    async [Symbol.asyncDispose]() {
      await current.stop("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Redis with its append-only file on, so that a restart keeps what was acknowledged. */
export function startRedis(): Promise<TestServer> {
  return startServer("redis", "redis", (port, folder) =>
    start("redis-server", [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
      ...["--appendonly", "yes", "--save", "", "--loglevel", "warning"],
    ]),
  );
}

/** NATS with JetStream. */
export function startNats(): Promise<TestServer> {
  return startServer("nats", "nats", (port, folder) =>
    start("nats-server", ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder]),
  );
}
