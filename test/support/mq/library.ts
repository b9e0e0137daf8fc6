/** Builds the shim of the stand-in: `libmqm_r.so` against the headers inside the ibmmq package. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ibmmq = fileURLToPath(new URL("../../../node_modules/ibmmq/", import.meta.url));

/** Where the addon looks before LD_LIBRARY_PATH (its RPATH). */
const INSTALLED = ["/opt/mqm/lib64/libmqm_r.so", "/usr/lib64/libmqm_r.so"];

/** Undefined when the stand-in can be built and loaded; else why not and what would provide it. */
export function missingStandIn(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `the stand-in queue manager needs the ibmmq addon for linux-x64, not ${process.platform}-${process.arch}: run in a linux/amd64 container`;
  }
  if (!existsSync("/lib64/ld-linux-x86-64.so.2")) {
    return "the ibmmq addon needs glibc: run on Debian, Ubuntu or RHEL";
  }
  const real = INSTALLED.find((file) => existsSync(file));
  if (real)
    return `${real} would be loaded before the stand-in: set MQ_HOST to run against a real queue manager`;
  if (!existsSync(join(ibmmq, "src/unix/cmqc.h"))) {
    return "the ibmmq package is not installed: MQIJS_NOREDIST=1 npm install";
  }
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    try {
      accessSync(join(folder, "gcc"), constants.X_OK);
      return undefined;
    } catch {}
  }
  return "gcc is not installed: apt-get install gcc libc6-dev";
}

/**
 * The folder that holds the library, in the system's folder for temporary files. Built when there is none of this source yet: a
 * test process is ended before it could delete one of its own.
 */
export async function buildLibrary(): Promise<string> {
  const source = fileURLToPath(new URL("shim.c", import.meta.url));
  const hash = createHash("sha256");
  for (const file of [source, join(ibmmq, "src/unix/cmqc.h"), join(ibmmq, "src/cmqxc.h")]) {
    hash.update(readFileSync(file));
  }
  const user = process.getuid?.();
  const folder = join(tmpdir(), `millrace-stand-in-library-${user}-${hash.digest("hex").slice(0, 16)}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // What another user put there is not loaded.
  if (statSync(folder).uid !== user)
    throw new Error(`Cannot use the folder "${folder}": it is another user's`);
  const library = join(folder, "libmqm_r.so");
  if (existsSync(library)) return folder;
  const unfinished = `${library}.${process.pid}`;
  await promisify(execFile)("gcc", [
    ...["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"],
    ...[`-I${join(ibmmq, "src")}`, `-I${join(ibmmq, "src/unix")}`],
    ...["-o", unfinished, source],
  ]);
  renameSync(unfinished, library);
  return folder;
}
