/**
 * A stand-in for an IBM MQ queue manager, for tests: the real ibmmq package talks to it through a library built at test
 * set-up. It is not IBM MQ; what it imitates, and by which documents, is said beside each part. What it does not know it
 * refuses. It speaks no TLS, and checks only what a program says of it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, type RunningProcess, start } from "../process.ts";
import { waitFor } from "../wait.ts";
import { ask, type Connected, type PutRequest, type QueuedMessage } from "./control.ts";
import type { DaemonOptions } from "./daemon.ts";
import type { Fault } from "./faults.ts";
import { buildLibrary } from "./library.ts";
import type { CommandResult } from "./manager.ts";
import type { Ending } from "./session.ts";

export { missingStandIn } from "./library.ts";

const mqscFolder = fileURLToPath(new URL("../../../mqsc/", import.meta.url));

/** The project's own MQSC files, in the order they are applied. */
export function projectMqsc(): string[] {
  const files = readdirSync(mqscFolder).filter((file) => /^\d+.*\.mqsc$/.test(file));
  return files.sort().map((file) => join(mqscFolder, file));
}

/** Whom the project's MQSC lets in, with the password the stand-in knows. */
export const BRIDGE = { channel: "MILLRACE.BRIDGE", user: "mrbridge", password: "bridge-secret" } as const;
export const PRODUCER = {
  channel: "MILLRACE.PRODUCER",
  user: "mrproducer",
  password: "producer-secret",
} as const;

export interface StandInOptions {
  /** Default QM1. */
  readonly queueManager?: string;
  /** MQSC files (default {@link projectMqsc}). A command that fails fails the start. */
  readonly mqsc?: readonly string[];
  /** More MQSC, run after the files. */
  readonly commands?: string;
  /** User to password (default {@link BRIDGE} and {@link PRODUCER}). */
  readonly passwords?: Readonly<Record<string, string>>;
}

export interface StandIn extends AsyncDisposable {
  readonly queueManager: string;
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly controlPort: number;
  /** For the process that loads ibmmq; must be set before it starts. */
  readonly env: Readonly<Record<string, string>>;
  /** Puts as an administrator, each committed at once. Rejects with the reason code when one is refused. */
  put(queue: string, ...bodies: (string | Uint8Array)[]): Promise<void>;
  putWith(options: Omit<PutRequest, "bodies">, ...bodies: (string | Uint8Array)[]): Promise<void>;
  /** CURDEPTH: with uncommitted puts, without uncommitted gets. */
  depth(queue: string): Promise<number>;
  /** All messages of a queue in the order they would be got, hidden ones too. They stay. */
  messages(queue: string): Promise<QueuedMessage[]>;
  inject(fault: Fault): Promise<void>;
  clearFaults(): Promise<void>;
  /** As endmqm: `quiescing` (2161 where asked to fail) or `stopping` (2162). Ended by `restart`. */
  quiesce(how?: Ending): Promise<void>;
  /** Cuts every connection; what they had not committed is backed out. */
  cut(): Promise<void>;
  /** Calls of each verb since the process began. */
  calls(): Promise<Readonly<Record<string, number>>>;
  connections(): Promise<readonly Connected[]>;
  /** Runs MQSC; what failed is in the result. */
  run(mqsc: string): Promise<CommandResult[]>;
  /** kill -9. */
  kill(): Promise<void>;
  /** kill -9 if it runs, and starts it again on the same ports with what was committed. */
  restart(): Promise<void>;
}

/** Starts the stand-in. Check {@link missingStandIn} first. */
export async function startStandIn({
  queueManager = "QM1",
  mqsc = projectMqsc(),
  commands = "",
  passwords = { [BRIDGE.user]: BRIDGE.password, [PRODUCER.user]: PRODUCER.password },
}: StandInOptions = {}): Promise<StandIn> {
  const library = await buildLibrary();
  const folder = mkdtempSync(join(tmpdir(), "millrace-stand-in-"));
  const [port, controlPort] = [await freePort(), await freePort()];
  const options: DaemonOptions = { queueManager, port, controlPort, folder, passwords };
  let daemon: RunningProcess;
  const up = async () => {
    const script = fileURLToPath(new URL("daemon.ts", import.meta.url));
    daemon = start(process.execPath, [script, JSON.stringify(options)]);
    await waitFor("the stand-in queue manager", () => {
      if (daemon.child.exitCode !== null) throw new Error(daemon.output());
      return daemon.output().includes("ready");
    });
  };
  await up();

  const put = async (request: Omit<PutRequest, "bodies">, bodies: readonly (string | Uint8Array)[]) => {
    const encoded = bodies.map((body) => Buffer.from(body as string).toString("base64"));
    const reason = await ask(controlPort, "put", { ...request, bodies: encoded });
    if (reason !== 0) throw new Error(`The stand-in refuses the put on ${request.queue}: reason ${reason}`);
  };
  const standIn: StandIn = {
    queueManager,
    host: "127.0.0.1",
    port,
    controlPort,
    env: {
      LD_LIBRARY_PATH: library,
      // Else a client inside the ibmmq package would go first.
      MQIJS_PREFER_INSTALLED_LIBRARY: "1",
      // For a CCDT, whose own host and port the shim does not read.
      MILLRACE_STAND_IN: `127.0.0.1(${port})`,
      MQIJS_NOOTEL: "1",
      MILLRACE_STAND_IN_CONTROL: String(controlPort),
    },
    put: (queue, ...bodies) => put({ queue }, bodies),
    putWith: (request, ...bodies) => put(request, bodies),
    depth: (queue) => ask(controlPort, "depth", queue),
    messages: (queue) => ask(controlPort, "messages", queue),
    async inject(fault) {
      await ask(controlPort, "inject", fault);
    },
    async clearFaults() {
      await ask(controlPort, "clearFaults", null);
    },
    async quiesce(how = "quiescing") {
      await ask(controlPort, "end", how);
    },
    async cut() {
      await ask(controlPort, "cut", null);
    },
    calls: () => ask(controlPort, "calls", null),
    connections: () => ask(controlPort, "connections", null),
    run: (text) => ask(controlPort, "run", text),
    kill: () => daemon.stop("SIGKILL"),
    async restart() {
      await daemon.stop("SIGKILL");
      await up();
    },
    async [Symbol.asyncDispose]() {
      await daemon.stop("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    for (const text of [...mqsc.map((file) => readFileSync(file, "utf8")), commands]) {
      const refused = (await standIn.run(text)).filter(({ isOk }) => !isOk);
      if (refused.length > 0) {
        throw new Error(
          refused.map(({ line, command, answer }) => `line ${line}: ${command}\n  ${answer}`).join("\n"),
        );
      }
    }
  } catch (error) {
    await standIn[Symbol.asyncDispose]();
    throw error;
  }
  return standIn;
}
