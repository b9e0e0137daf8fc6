/**
 * Makes a Node process collect its garbage, so that memory in use is what is measured, not when V8 last felt like it. Node listens
 * for a debugger on SIGUSR1; the port is the one NODE_OPTIONS names. No server needs to know.
 */
import { waitFor } from "../../support/wait.ts";

export interface GarbageCollector extends Disposable {
  collect(): Promise<void>;
}

/** Environment for a Node server whose garbage is to be collected. */
export function inspectable(port: number): { NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `--inspect-port=127.0.0.1:${port}` };
}

/** Undefined when the process is not Node: nothing to collect. */
export async function openGarbageCollector(pid: number, port: number): Promise<GarbageCollector> {
  process.kill(pid, "SIGUSR1");
  const url = await waitFor("the debugger of the server", async () => {
    const targets = await fetch(`http://127.0.0.1:${port}/json/list`).then((answer) => answer.json());
    return (targets as { webSocketDebuggerUrl?: string }[])[0]?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", reject, { once: true });
  });
  let lastId = 0;
  return {
    collect: () =>
      new Promise((resolve) => {
        const id = ++lastId;
        const onMessage = ({ data }: MessageEvent) => {
          if (JSON.parse(String(data)).id !== id) return;
          socket.removeEventListener("message", onMessage);
          resolve();
        };
        socket.addEventListener("message", onMessage);
        socket.send(JSON.stringify({ id, method: "HeapProfiler.collectGarbage" }));
      }),
    [Symbol.dispose]: () => socket.close(),
  };
}
