/** Redis as the tests of faults need it, and what is in it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRedisDeadLetters } from "../../../functions/adapters/dead-letters-redis.ts";
import type { StoredDeadLetter } from "../../../functions/ports/dead-letters.ts";
import { connectRedis } from "../../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../../support/logger.ts";
import { freePort, type RunningProcess, start } from "../../support/process.ts";
import { accepts } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";

export interface DurableRedis extends AsyncDisposable {
  readonly url: string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port with what it had acknowledged. */
  start(): Promise<void>;
  /** Stops the process where it is; its sockets stay. Resolves when it stands still (Linux: `/proc/PID/stat`). */
  freeze(): Promise<void>;
  /** It goes on. */
  thaw(): void;
}

/** With `appendfsync always`: what was acknowledged is on disk, so that a kill -9 takes nothing that anyone was told of. */
export async function startDurableRedis(): Promise<DurableRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "millrace-redis-"));
  const data = join(folder, "data");
  mkdirSync(data);
  let current: RunningProcess;
  const redis: DurableRedis = {
    url: `redis://127.0.0.1:${port}`,
    kill: () => current.stop("SIGKILL"),
    async start() {
      current = start("redis-server", [
        ...["--port", String(port), "--bind", "127.0.0.1", "--dir", data, "--save", ""],
        ...["--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning"],
      ]);
      await waitFor("redis-server to be up", () => {
        if (current.child.exitCode !== null) throw new Error(current.output());
        return accepts(port);
      });
    },
    async freeze() {
      const { child, pid } = current;
      child.kill("SIGSTOP");
      const state = () => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
      await waitFor("redis-server to stand still", () => state() === "T");
    },
    thaw: () => void current.child.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await current.stop("SIGKILL");
      rmSync(folder, { recursive: true });
    },
  };
  await redis.start();
  return redis;
}

/** All dead letters, oldest first, with their bodies as text. */
export async function deadLetters(url: string): Promise<(StoredDeadLetter & { readonly body: string })[]> {
  await using redis = await connectRedis(url, silent);
  const letters = await createRedisDeadLetters({ redis }).list({ limit: 10_000 });
  return letters.map((letter) => ({ ...letter, body: Buffer.from(letter.bodyBase64, "base64").toString() }));
}
