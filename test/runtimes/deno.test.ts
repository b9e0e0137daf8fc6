/** Deno, as a real process with the permissions of deno.json. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { HTTP_SETTINGS, STORE_SETTINGS, TELEMETRY_SETTINGS } from "../../bin/context.ts";
import { describeRuntime } from "../contracts/runtime.ts";
import { describeWebSockets } from "../contracts/web-sockets.ts";
import { JWT_SECRET } from "../support/log-server.ts";
import { freePort, start } from "../support/process.ts";
import { missingRuntime, programOf } from "../support/runtimes.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const noDeno = missingRuntime("deno");

describeWebSockets({
  name: "Deno",
  command: [programOf("deno"), "run", "-A"],
  cutsPeers: false,
  badVersionStatus: 400,
  skip: noDeno,
});

describeRuntime({ name: "Deno", runtime: "deno" });

describe("deno.json", () => {
  const { tasks } = JSON.parse(readFileSync(`${ROOT}deno.json`, "utf8")) as {
    tasks: Record<string, { command: string }>;
  };

  it("lets every task read the settings it has, and no other variable", () => {
    const names = [...HTTP_SETTINGS, ...STORE_SETTINGS, ...TELEMETRY_SETTINGS, "LOG_LEVEL"].sort();
    for (const { command } of Object.values(tasks)) {
      expect(/--allow-env=(\S+)/.exec(command)![1]!.split(",").sort()).toEqual(names);
      expect(command).not.toMatch(/--allow-(all|run|ffi|import)|-A\b/);
    }
  });

  it("start: serves, and ends with 0 on the signal that the task is given", async (context) => {
    const reason = noDeno ?? missing("redis-server");
    if (reason !== undefined) context.skip(reason);
    await using redis = await startRedis();
    const port = await freePort();
    const task = start(programOf("deno"), ["task", "start"], {
      cwd: ROOT,
      env: {
        ...{ PATH: `${ROOT}node_modules/.bin:${process.env.PATH}`, HOST: "127.0.0.1", PORT: String(port) },
        ...{ REDIS_URL: redis.url, JWT_SECRET },
      },
    });
    await waitFor("it to be ready", () => {
      if (task.child.exitCode !== null) throw new Error(task.output());
      return task.output().includes(`millrace ready http://127.0.0.1:${port}`);
    });
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
    await task.stop();
    expect(task.child.exitCode).toBe(0);
    // The program has gone with its task.
    const server = createServer().listen(port, "127.0.0.1");
    await waitFor("the port to be free", () => server.listening);
    server.close();
  });
});
