/**
 * Node's compile cache for every process of a run (nodejs.org, module.enableCompileCache): a start of the CLI, of wrangler or of a worker of
 * Vitest otherwise strips types from and compiles some hundred files, which is most of its second of computing. One folder, keyed by content,
 * gone with node_modules.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../bin/millrace.ts", import.meta.url));
const FOLDER = fileURLToPath(new URL("../../node_modules/.cache/node-compile", import.meta.url));

/** What a process needs in its environment to use the cache. */
export const COMPILE_CACHE: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? FOLDER,
};

/** Vitest's global setup. A process that is killed adds nothing to the cache, so one that ends by itself fills it, beside the first tests. */
export default function fillCompileCache(): () => Promise<unknown> {
  const child = spawn(process.execPath, [CLI, "--version"], {
    env: { ...process.env, ...COMPILE_CACHE },
    stdio: "ignore",
  });
  const ended = once(child, "close");
  return () => ended;
}
