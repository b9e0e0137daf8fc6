/** Chromium and a whole Millrace, for the tests of the pages. */
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { freePort, type RunningProcess, start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

/** Milliseconds it may take to start with its pages bundled, on two cores that others use too. */
const START_MS = 60_000;
/** Nothing but what the page asks for goes over the network. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The system's own Chromium. @throws Error when it is not there: ask `missing("chromium")` first. */
export function launchChromium(): Promise<Browser> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const executablePath = join(folder, "chromium");
    try {
      accessSync(executablePath, constants.X_OK);
    } catch {
      continue;
    }
    return chromium.launch({ executablePath, args: ARGUMENTS });
  }
  throw new Error("Cannot start chromium: not found in PATH");
}

export interface Millrace extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  /** Of its framed-TCP broker. */
  readonly brokerPort: number;
  /** SIGKILL unless told otherwise: the data stays. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Again, on the same ports and data. Resolves when it is ready. */
  startAgain(): Promise<void>;
}

/**
 * `millrace up` on free ports, with its data in a folder of its own; `settings` are added to its environment. Resolves when its first demo
 * event has gone through.
 */
export async function startMillrace(settings: Readonly<Record<string, string>> = {}): Promise<Millrace> {
  const [port, brokerPort, healthPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const folder = mkdtempSync(join(tmpdir(), "millrace-page-"));
  const env = {
    ...{ PORT: String(port), TCP_PORT: String(brokerPort), HTTP_PORT: String(healthPort) },
    ...{ DATA_DIR: folder, HOST: "127.0.0.1", AUTH_MODE: "none", ...settings },
  };
  let current: RunningProcess;
  const up = async (): Promise<void> => {
    current = start(process.execPath, ["bin/millrace.ts", "up"], { env });
    const line = `millrace ready http://127.0.0.1:${port}`;
    const isUp = () => {
      if (current.child.exitCode !== null) throw new Error(current.output());
      return current.output().includes(line);
    };
    await waitFor(line, isUp, { timeoutMs: START_MS }).catch((error: unknown) => {
      throw new Error(`${current.output()}`, { cause: error });
    });
  };
  await up();
  return {
    url: `http://127.0.0.1:${port}`,
    brokerPort,
    stop: (signal = "SIGKILL") => current.stop(signal),
    startAgain: up,
    async [Symbol.asyncDispose]() {
      await current.stop("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
