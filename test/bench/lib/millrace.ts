/** Millrace's own processes, started as a user starts them. */
import { fileURLToPath } from "node:url";
import { start } from "../../support/process.ts";
import { waitFor } from "../../support/wait.ts";

const CLI = fileURLToPath(new URL("../../../bin/millrace.ts", import.meta.url));

export interface MillraceProcess extends AsyncDisposable {
  readonly pid: number;
  /** Of `serve`; empty of the others. */
  readonly url: string;
  output(): string;
}

/** Starts a command of the CLI; `serve` is ready when this resolves. */
export async function startMillrace(
  command: "serve" | "bridge" | "broker",
  env: Record<string, string>,
  args: readonly string[] = [],
): Promise<MillraceProcess> {
  const child = start(process.execPath, [CLI, command, ...args], {
    env: { LOG_LEVEL: "warn", BRIDGE_PORT: "0", ...env },
  });
  const stop = () => child.stop("SIGKILL");
  let url = "";
  try {
    if (command === "serve") {
      url = await waitFor("millrace serve to be ready", () => {
        if (child.child.exitCode !== null) throw new Error(child.output());
        return /^millrace ready (\S+)$/m.exec(child.output())?.[1];
      });
    }
  } catch (error) {
    await stop();
    throw new Error(`millrace ${command} did not start: ${child.output()}`, { cause: error });
  }
  return { pid: child.pid, url, output: child.output, [Symbol.asyncDispose]: stop };
}
