/** A process of the bench that answers calls over IPC: the load client and the publisher, each on a core of its own choosing. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { pin } from "./processes.ts";

// biome-ignore lint/suspicious/noExplicitAny: any list of arguments; the types of a call are inferred from its handler.
type Calls = Record<string, (...args: any[]) => unknown>;
type Call = { id: number; name: string; args: unknown[] };
type Answer = { id: number; value?: unknown; error?: string };

export interface Worker<C extends Calls> extends AsyncDisposable {
  readonly pid: number;
  call<N extends keyof C & string>(name: N, ...args: Parameters<C[N]>): Promise<Awaited<ReturnType<C[N]>>>;
}

/** Starts `file`, which calls {@link answerCalls}. */
export async function startWorker<C extends Calls>(file: URL, core: number | undefined): Promise<Worker<C>> {
  const child = fork(file, { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const onExit = () => child.kill("SIGKILL");
  process.on("exit", onExit);
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  child.on("message", ({ id, value, error }: Answer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  });
  child.on("exit", (code, signal) => {
    process.off("exit", onExit);
    for (const call of waiting.values())
      call.reject(new Error(`The bench's ${file.pathname} ended: ${signal ?? code}`));
    waiting.clear();
  });
  await once(child, "spawn");
  const pid = child.pid!;
  await pin(pid, core);
  let lastId = 0;
  return {
    pid,
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id, name, args } satisfies Call);
      }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** In the worker: answers until the bench is gone. */
export function answerCalls(calls: Calls): void {
  process.on("disconnect", () => process.exit());
  process.on("message", ({ id, name, args }: Call) => {
    Promise.resolve()
      .then(() => calls[name]!(...args))
      .then(
        (value): Answer => ({ id, value }),
        (error): Answer => ({
          id,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
      )
      .then((answer) => process.send!(answer));
  });
}
