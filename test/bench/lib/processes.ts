/** What a process costs, read from /proc (proc(5)), and which core it runs on. Processes are trees: nginx works in its children. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * The server under test has a core of its own. Everything else (load client, publisher, Redis) shares the others, as in the
 * field the clients are elsewhere. Undefined on one core or without taskset: nothing is pinned, and the report says so.
 */
export const CORES: { readonly server: number; readonly client: number; readonly rest: number } | undefined =
  await (async () => {
    const cores = availableParallelism();
    if (cores < 2) return undefined;
    return run("taskset", ["--version"]).then(
      () => ({ server: 0, client: 1, rest: cores > 2 ? 2 : 1 }),
      () => undefined,
    );
  })();

/** Moves a process, with its threads and children, to a core. */
export async function pin(pid: number, core: number | undefined): Promise<void> {
  if (core === undefined) return;
  for (const member of processTree(pid))
    await run("taskset", ["-a", "-c", "-p", String(core), String(member)]);
}

/** Fields of /proc/<pid>/stat from the third on; the second is a name that may hold spaces. */
function stat(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** The process and all below it. */
function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const parent = Number(stat(Number(entry))[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // Ended while we looked.
    }
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...(children.get(tree[at]!) ?? []));
  return tree;
}

/** USER_HZ, the unit of the times in /proc/<pid>/stat. */
const TICK_MICROS = 1_000_000 / Number((await run("getconf", ["CLK_TCK"])).stdout);

/** Microseconds of CPU the tree has used, user and system, all threads, to 10 ms. */
export function cpuMicros(root: number): number {
  let ticks = 0;
  for (const pid of processTree(root)) {
    const fields = stat(pid);
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MICROS;
}

/** Bytes resident over the tree. */
export function residentBytes(root: number): number {
  let kibibytes = 0;
  for (const pid of processTree(root)) {
    kibibytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  }
  return kibibytes * 1024;
}

/** Files a process may have open: a connection is one. */
export function openFilesLimit(): number {
  const soft = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft ?? 0);
}
