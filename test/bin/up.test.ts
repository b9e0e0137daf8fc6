/** `millrace up`: what `npm start` promises. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runUp } from "../../bin/commands/up.ts";
import { ROUTING_KEYS } from "../../bridge/producers/events.ts";
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { cli, FREE_PORTS, startCli, temporaryFolder } from "./cli.ts";

/** The first events of the company. */
async function history(url: string, companyId = "acme"): Promise<{ cursor: string; type: string }[]> {
  const response = await fetch(`${url}/stream/history?companyId=${companyId}&limit=500`);
  return ((await response.json()) as { events: { cursor: string; type: string }[] }).events;
}

/** Events in the log of a DATA_DIR. */
function storedIn(folder: string): string {
  using database = openSqliteDatabase({ folder, logger: silent });
  return String(database.connection.prepare("SELECT count(*) AS n FROM entries").get()?.n);
}

describe("millrace up", () => {
  it("prints the ready line alone on stdout, logs JSON lines on stderr, and ends with 0 on SIGINT", {
    timeout: 90_000,
  }, async () => {
    using folder = temporaryFolder();
    await using up = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
    const url = await up.ready();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(url)).text()).toContain("<!doctype html>");
    const isAllThere = async () => {
      const typesOf = async (company: string) => (await history(url, company)).map(({ type }) => type);
      const companies = ["acme", "globex", OPERATIONS_COMPANY, LOGS_COMPANY];
      const [acme, globex, services, lines] = await Promise.all(companies.map(typesOf));
      const wanted = ["metric_updated", "telemetry.gpu", "audit.txn", "promo.feed", "central.sync"];
      return (
        [acme, globex].every(
          (types) =>
            wanted.every((type) => types!.includes(type)) &&
            types!.some((type) => ROUTING_KEYS.includes(type)),
        ) &&
        services!.includes("service_status") &&
        lines!.includes("log_line")
      );
    };
    // The GPUs of the companies take turns of some ten seconds.
    const all = "every use case of both companies, and the operator's services";
    await waitFor(all, isAllThere, { timeoutMs: 60_000, everyMs: 100 });
    const stream = await fetch(`${url}/stream/updates?companyId=globex`);
    up.child.kill("SIGINT");
    expect(await up.ended).toBe(0);
    expect(await stream.text()).toMatch(/\nretry: \d+\n\n$/);
    expect(up.stdout()).toBe(`millrace ready ${url}\n`);
    const lines = up.stderr().trim().split("\n");
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ level: "info", msg: expect.any(String) });
  });

  it("continues the same log at a second start", async () => {
    using folder = temporaryFolder();
    const firstCursors: string[] = [];
    for (let start = 0; start < 2; start++) {
      await using up = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
      const url = await up.ready();
      firstCursors.push((await history(url))[0]!.cursor);
      up.child.kill("SIGTERM");
      expect(await up.ended).toBe(0);
    }
    expect(firstCursors[1]).toBe(firstCursors[0]);
  });

  it("shares its DATA_DIR with another one: each shows the events of both", async () => {
    using folder = temporaryFolder();
    await using one = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
    const url = await one.ready();
    await using other = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
    const otherUrl = await other.ready();
    // Held until it is cancelled: a response that nobody holds is collected, and its connection closed.
    const stream = await fetch(`${url}/stream/updates?companyId=acme`);
    await waitFor("the other to know of the connection", async () => {
      const stats = (await (await fetch(`${otherUrl}/stream/stats`)).json()) as {
        connections: { totalConnections: number };
      };
      return stats.connections.totalConnections === 1;
    });
    await stream.body!.cancel();
    await waitFor("the other to know that it is gone", async () => {
      const stats = (await (await fetch(`${otherUrl}/stream/stats`)).json()) as {
        connections: { totalConnections: number };
      };
      return stats.connections.totalConnections === 0;
    });
    expect((await history(otherUrl))[0]).toEqual((await history(url))[0]);
  });

  it.each(["PORT", "TCP_PORT", "HTTP_PORT"])(
    "names %s when its port is taken, and exits with 1",
    async (name) => {
      using folder = temporaryFolder();
      await using broker = startCli(["broker"], FREE_PORTS);
      const { port } = new URL(await broker.ready());
      const { code, stdout, stderr } = await cli(["up"], {
        ...FREE_PORTS,
        DATA_DIR: folder.path,
        [name]: port,
      });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(`set ${name} to another one`);
    },
  );

  it("refuses a public host without keys, and takes tokens where it is told to", async () => {
    using folder = temporaryFolder();
    const env = { ...FREE_PORTS, DATA_DIR: folder.path };
    expect(await cli(["up"], { ...env, HOST: "0.0.0.0" })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("JWT_SECRET"),
    });
    await using up = startCli(["up"], { ...env, AUTH_MODE: "jwt", JWT_SECRET: "s".repeat(32) });
    expect((await fetch(`${await up.ready()}/stream/updates?companyId=acme`)).status).toBe(401);
  });

  it("answers 431 to headers that are too large", async () => {
    using folder = temporaryFolder();
    await using up = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
    const url = await up.ready();
    expect((await fetch(`${url}/healthz`, { headers: { large: "x".repeat(20_000) } })).status).toBe(431);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("takes a second signal right behind the first for the same, as npm sends it", async () => {
    using folder = temporaryFolder();
    await using up = startCli(["up"], { ...FREE_PORTS, DATA_DIR: folder.path });
    const url = await up.ready();
    // Several, which are sent away one after the other: it must not have ended before the second signal.
    const open = () => fetch(`${url}/stream/updates?companyId=acme`);
    const streams = await Promise.all([open(), open(), open(), open()]);
    up.child.kill("SIGINT");
    await waitFor("it to stop", () => up.stderr().includes("Stopping"));
    up.child.kill("SIGINT");
    expect(await up.ended).toBe(0);
    for (const { body } of streams) await body!.cancel();
  });
});

describe("runUp", () => {
  it("runs in process until its signal aborts, and leaves nothing behind", async () => {
    using folder = temporaryFolder();
    const settings = readSettings({ ...FREE_PORTS, DATA_DIR: folder.path });
    const stop = new AbortController();
    const printed: string[] = [];
    const logger = recordingLogger();
    const running = runUp(
      { settings, logger, signal: stop.signal, print: (line) => printed.push(line, storedIn(folder.path)) },
      {},
    );
    await waitFor("the ready line", () => printed.length > 0);
    // The first event had gone through at that very moment.
    expect(Number(printed[1])).toBeGreaterThan(0);
    const url = printed[0]!.replace("millrace ready ", "");
    stop.abort();
    await running;
    await expect(fetch(url)).rejects.toThrow();
    expect(logger.lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });

  it("ends when its signal aborts before it is ready", async () => {
    using folder = temporaryFolder();
    const REDIS_URL = `redis://127.0.0.1:${await freePort()}`;
    const settings = readSettings({ ...FREE_PORTS, DATA_DIR: folder.path, REDIS_URL });
    const printed: string[] = [];
    const stop = new AbortController();
    const running = runUp(
      { settings, logger: recordingLogger(), signal: stop.signal, print: (line) => printed.push(line) },
      {},
    );
    await sleep(50);
    stop.abort();
    await running;
    expect(printed).toEqual([]);
  });
});
