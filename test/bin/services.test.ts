/** The commands that run apart in production: serve, bridge, broker, and the entry of the container. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { COMPILE_CACHE } from "../support/compile-cache.ts";
import { freePort } from "../support/process.ts";
import { accepts, missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { CLI, cli, FREE_PORTS, JWT_SECRET, startCli, temporaryFolder } from "./cli.ts";

const ENTRY = fileURLToPath(new URL("../../functions/entries/node.ts", import.meta.url));
const noRedis = missing("redis-server");

describe("millrace serve, bridge and broker", () => {
  it("bring a produced message to a client, whoever is up first, and end with 0", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await redis.kill();
    await using broker = startCli(["broker"], FREE_PORTS);
    const BROKER_ADDR = new URL(await broker.ready()).host;
    const env = { REDIS_URL: redis.url, BROKER_ADDR, JWT_SECRET, ...FREE_PORTS };
    await using serve = startCli(["serve"], env);
    await using bridge = startCli(["bridge"], env);
    // Both are there and wait.
    const origin = await waitFor("serve to listen", () => /"url":"([^"]+)"/.exec(serve.stderr())?.[1]);
    expect((await fetch(`${origin}/healthz`)).status).toBe(200);
    expect((await fetch(`${origin}/ready`)).status).toBe(503);
    expect(serve.stdout()).toBe("");
    const bridgeUrl = await waitFor("its probes", () => /"url":"([^"]+)"/.exec(bridge.stderr())?.[1]);
    expect((await fetch(`${bridgeUrl}/healthz`)).status).toBe(200);
    const waiting = await fetch(`${bridgeUrl}/ready`);
    expect([waiting.status, await waiting.json()]).toMatchObject([
      503,
      {
        error: "Service Unavailable",
        message: "The event log does not answer",
        sources: expect.arrayContaining([
          { name: "framed-tcp", kind: "framed-tcp", state: "starting", reason: expect.any(String) },
        ]),
      },
    ]);
    await redis.restart();
    expect(await serve.ready()).toBe(origin);
    await waitFor("the bridge to be ready", async () => (await fetch(`${bridgeUrl}/ready`)).status === 200);

    const { stdout: token } = await cli(["token", "--company", "acme"], env);
    const headers = { authorization: `Bearer ${token.trim()}`, accept: "text/event-stream" };
    const stream = await fetch(`${origin}/stream/updates?companyId=acme`, { headers });
    expect(stream.status).toBe(200);
    await cli(["produce", "--company", "acme", "--count", "3", "--rate", "Infinity"], env);
    let text = "";
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split("\ndata: ").length > 3) break;
    }
    const metrics = await (await fetch(`${bridgeUrl}/metrics`)).text();
    expect(metrics).toContain('millrace_source_appended_total{source="framed-tcp",kind="framed-tcp"} 3\n');
    expect(metrics).toContain('kind="framed-tcp",delivery="at-most-once"} 1\n');
    expect(metrics).not.toContain("acme");
    for (const { child, ended } of [serve, bridge, broker]) {
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    }
    expect(serve.stderr() + bridge.stderr()).not.toContain(JWT_SECRET);
  });

  it("serve and the container's entry refuse to let everyone in, and to let nobody in, with 2", async () => {
    for (const entry of [CLI, ENTRY]) {
      const args = entry === CLI ? ["serve"] : [];
      for (const env of [{ AUTH_MODE: "none" }, {}] as Record<string, string>[]) {
        await using refused = startCli(args, { ...FREE_PORTS, ...env }, { entry });
        expect(await refused.ended).toBe(2);
        expect(refused.stderr()).toContain("JWT_SECRET");
        expect(refused.stdout()).toBe("");
      }
    }
  });

  it("the container's entry serves, and ends with 0 on SIGTERM", async () => {
    using folder = temporaryFolder();
    await using entry = startCli([], { PORT: "0", DATA_DIR: folder.path, JWT_SECRET }, { entry: ENTRY });
    const url = await entry.ready();
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    expect((await fetch(`${url}/stream/updates?companyId=acme`)).status).toBe(401);
    entry.child.kill("SIGTERM");
    expect(await entry.ended).toBe(0);
  });

  it("a second signal ends a drain at once, with 1", async () => {
    using folder = temporaryFolder();
    const env = { PORT: "0", DATA_DIR: folder.path, JWT_SECRET, DRAIN_MS: "600000" };
    await using serve = startCli(["serve"], env);
    const url = await serve.ready();
    const { stdout: token } = await cli(["token", "--company", "acme"], env);
    const headers = { authorization: `Bearer ${token.trim()}` };
    const clients = await Promise.all(
      Array.from({ length: 5 }, () => fetch(`${url}/stream/updates?companyId=acme`, { headers })),
    );
    serve.child.kill("SIGTERM");
    await waitFor("it to fail its readiness", async () => (await fetch(`${url}/ready`)).status === 503);
    await waitFor("its end", () => {
      serve.child.kill("SIGTERM");
      return serve.child.exitCode !== null;
    });
    expect(await serve.ended).toBe(1);
    // Held until here: of one that is collected the connection closes, and a server without clients has drained.
    expect(clients.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });

  it("the bridge's /ready says which source is down and why, and shows no secret", async () => {
    using folder = temporaryFolder();
    const port = await freePort();
    const env = {
      ...{ DATA_DIR: folder.path, BRIDGE_PORT: "0" },
      ...{ NATS_URL: `nats://hunter2@127.0.0.1:${port}`, BROKER_ADDR: `127.0.0.1:${port}` },
    };
    await using bridge = startCli(["bridge"], env);
    const url = await waitFor("its probes", () => /"url":"([^"]+)"/.exec(bridge.stderr())?.[1]);
    const ready = async () => {
      const response = await fetch(`${url}/ready`);
      return { status: response.status, text: await response.text() };
    };
    const { status, text } = await waitFor("both to be down", async () => {
      const answer = await ready();
      return answer.text.split('"state":"down"').length === 3 && answer;
    });
    expect(status).toBe(503);
    expect(JSON.parse(text)).toEqual({
      error: "Service Unavailable",
      message: "Not every source brings its messages: nats, framed-tcp",
      sources: [
        { name: "nats", kind: "nats", state: "down", reason: expect.stringContaining(`"127.0.0.1:${port}"`) },
        {
          name: "framed-tcp",
          kind: "framed-tcp",
          state: "down",
          reason: expect.stringContaining("ECONNREFUSED"),
        },
      ],
    });
    expect(text + (await (await fetch(`${url}/metrics`)).text()) + bridge.stderr()).not.toContain("hunter2");

    await using broker = startCli(["broker"], { ...FREE_PORTS, TCP_PORT: String(port) });
    await broker.ready();
    await waitFor("one to be up", async () => (await ready()).text.includes('"state":"up"'));
    expect((await ready()).status).toBe(503);
    bridge.child.kill("SIGTERM");
    expect(await bridge.ended).toBe(0);
  });

  it("a bridge whose port is taken fails with 1 and names the setting", async () => {
    using folder = temporaryFolder();
    await using broker = startCli(["broker"], FREE_PORTS);
    const BRIDGE_PORT = new URL(await broker.ready()).port;
    const env = { DATA_DIR: folder.path, BRIDGE_PORT, BROKER_ADDR: "127.0.0.1:1" };
    const { code, stderr } = await cli(["bridge"], env);
    expect(code).toBe(1);
    expect(stderr).toContain("set BRIDGE_PORT to another one");
  });

  it("the bridge refuses to run without a source, and with a bad file, with 2", async () => {
    const { code, stderr } = await cli(["bridge"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/it has no source, expected NATS_URL, AMQP_URL, .* or a source in bridge\.yaml/);
    expect(await cli(["bridge", "--config", "package.json"])).toMatchObject({ code: 2 });
  });

  it("ends with the shell npm ran it in", async () => {
    const shell = spawn("/bin/sh", ["-c", `"$0" "$@"; true`, process.execPath, CLI, "broker"], {
      env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...FREE_PORTS, npm_lifecycle_event: "npx" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    shell.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const url = await waitFor("the ready line", () => /^millrace ready (\S+)$/m.exec(output)?.[1]);
    const port = Number(new URL(url).port);
    expect(await accepts(port)).toBe(true);
    shell.kill("SIGKILL");
    await waitFor("the broker to be gone", async () => !(await accepts(port)));
  });
});
