/** The real CLI as a process of its own, its two channels apart, in an environment that holds nothing but what a test gives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMPILE_CACHE } from "../support/compile-cache.ts";
import { waitFor } from "../support/wait.ts";

export const CLI = fileURLToPath(new URL("../../bin/millrace.ts", import.meta.url));

export interface CliProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves with what its ready line names. */
  ready(): Promise<string>;
  /** Resolves with the exit code when the process has ended. */
  readonly ended: Promise<number | null>;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function startCli(
  args: readonly string[],
  env: Record<string, string> = {},
  options: { cwd?: string; entry?: string } = {},
): CliProcess {
  const child = spawn(process.execPath, [options.entry ?? CLI, ...args], {
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...env },
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ready: () =>
      waitFor("the ready line", () => {
        if (child.exitCode !== null) throw new Error(stderr);
        return /^millrace ready (\S+)$/m.exec(stdout)?.[1];
      }),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs a command that ends by itself. */
export async function cli(
  args: readonly string[],
  env: Record<string, string> = {},
  options: { cwd?: string } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await using started = startCli(args, env, options);
  const code = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/** A folder of its own, gone with its scope. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Every port a free one. */
export const FREE_PORTS = { PORT: "0", BRIDGE_PORT: "0", TCP_PORT: "0", HTTP_PORT: "0" };
export const JWT_SECRET = "a secret of the tests, long enough for HS256";
