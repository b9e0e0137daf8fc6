/** GPU telemetry as somebody new to it sends it: a file, an address, and nothing said of companies. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dcgmCsv } from "../../bridge/producers/dcgm.ts";
import { missingMongoDb, startMongoDb } from "../support/mongodb.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { cli, FREE_PORTS, startCli, temporaryFolder } from "./cli.ts";

const ROWS = 320;

/** A file of a fleet that the demo has not: 8 GPUs of one host, scraped every second. */
function writeRows(folder: string): string {
  const path = join(folder, "dcgm.csv");
  let at = Date.now() - 600_000;
  const now = () => {
    at += 1000;
    return at;
  };
  const fleet = { companies: ["elsewhere"], hostsPerCompany: 1, gpusPerHost: 8, now };
  writeFileSync(path, [...dcgmCsv({ ...fleet, count: ROWS })].join(""));
  return path;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    new RegExp(`^millrace_source_${name}_total\\{.*source="embedded".*\\} (\\d+)$`, "m").exec(text)?.[1],
  );
}

/** GPUs of the host of the file, and how many readings they have. */
async function shown(url: string): Promise<{ companies: string[]; readings: number }> {
  const ask = async (path: string) =>
    (await (await fetch(`${url}/api/v1/gpus${path}`)).json()) as {
      total: number;
      items: { companyId: string; uuid: string; Hostname: string }[];
    };
  const { items } = await ask("?limit=1000");
  const own = items.filter(({ Hostname }) => Hostname.startsWith("elsewhere"));
  const pages = await Promise.all(own.map(({ uuid }) => ask(`/${uuid}/telemetry?limit=1`)));
  const readings = pages.reduce((sum, { total }) => sum + total, 0);
  return { companies: [...new Set(own.map(({ companyId }) => companyId))], readings };
}

describe.each(["queue", "broadcast"])("millrace produce of a file into millrace up, %s", (DELIVERY_MODE) => {
  it("every row is in the metrics API once, as acme's; the producer says so; sent again, nothing is there twice", async () => {
    using folder = temporaryFolder();
    const path = writeRows(folder.path);
    await using up = startCli(["up"], { ...FREE_PORTS, DELIVERY_MODE, DATA_DIR: join(folder.path, "data") });
    const url = await up.ready();
    const port = /"tcpPort":(\d+)/.exec(up.stderr())?.[1];
    const env = { BROKER_ADDR: `127.0.0.1:${port}`, CSV_PATH: path };
    for (const time of [1, 2]) {
      const { code, stdout, stderr } = await cli(["produce"], env);
      expect({ code, stdout }).toEqual({ code: 0, stdout: `sent ${ROWS} messages\n` });
      expect(stderr).toContain("millrace up takes them for acme's");
      if (time === 2) {
        await waitFor("the duplicates", async () => (await metric(url, "duplicates")) === ROWS);
        expect(await metric(url, "duplicate_readings")).toBe(ROWS);
      }
      await waitFor("the rows", async () => (await shown(url)).readings === ROWS);
      expect(await shown(url)).toEqual({ companies: ["acme"], readings: ROWS });
    }
    expect(await metric(url, "dead_letters")).toBe(0);
    up.child.kill("SIGTERM");
    expect(await up.ended).toBe(0);
  });
});

describe("rows that name no company", () => {
  it("are dead letters of a millrace up that asks for tokens, and nobody's readings", async () => {
    using folder = temporaryFolder();
    const path = writeRows(folder.path);
    const [JWT_SECRET, AUTH_TOKEN] = ["s".repeat(32), "metrics"];
    const env = {
      ...FREE_PORTS,
      DATA_DIR: join(folder.path, "data"),
      AUTH_MODE: "jwt",
      JWT_SECRET,
      AUTH_TOKEN,
    };
    await using up = startCli(["up"], env);
    const url = await up.ready();
    const port = /"tcpPort":(\d+)/.exec(up.stderr())?.[1];
    const { code } = await cli(["produce"], { BROKER_ADDR: `127.0.0.1:${port}`, CSV_PATH: path });
    expect(code).toBe(0);
    await waitFor("the dead letters", async () => (await metric(url, "dead_letters")) === ROWS);
    const response = await fetch(`${url}/api/v1/gpus?limit=1000`, {
      headers: { authorization: `Bearer ${AUTH_TOKEN}` },
    });
    const { items } = (await response.json()) as { items: { Hostname: string }[] };
    expect(items.filter(({ Hostname }) => Hostname.startsWith("elsewhere"))).toEqual([]);
    up.child.kill("SIGTERM");
    expect(await up.ended).toBe(0);
  });
});

describe("readings without MONGODB_URI beside a log on Redis", () => {
  const said = /Readings of GPUs are kept in DATA_DIR of this machine alone, .*set MONGODB_URI/;

  it("bridge warns once at its start, check notes it; with MONGODB_URI or without Redis neither does", async () => {
    using folder = temporaryFolder();
    const REDIS_URL = "redis://127.0.0.1:1";
    const MONGODB_URI = "mongodb://127.0.0.1:1/";
    const env = { DATA_DIR: folder.path, BROKER_ADDR: "127.0.0.1:1", BRIDGE_PORT: "0" };
    await using bridge = startCli(["bridge"], { ...env, REDIS_URL });
    await waitFor("the warning", () => said.test(bridge.stderr()));
    const warnings = bridge
      .stderr()
      .split("\n")
      .filter((line) => said.test(line));
    expect(warnings).toEqual([expect.stringContaining('"level":"warn"')]);
    const check = async (settings: Record<string, string>) =>
      (await cli(["check"], { ...env, ...settings })).stdout;
    expect(await check({ REDIS_URL })).toMatch(new RegExp(`^note: ${said.source}`, "m"));
    for (const settings of [{}, { REDIS_URL, MONGODB_URI }]) expect(await check(settings)).not.toMatch(said);
  });
});

describe("the settings of MongoDB", () => {
  it("check shows no password of MONGODB_URI, and the helps name what there is", async () => {
    const MONGODB_URI = "mongodb://user:hidden@127.0.0.1:1/?appName=x";
    const { code, stdout } = await cli(["check", "--print"], { MONGODB_URI, AUTH_TOKEN: "hidden" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^MONGODB_URI=mongodb:\/\/\*\*\*@127\.0\.0\.1:1\/\?appName=x +# environment$/m);
    expect(stdout).toMatch(/^AUTH_TOKEN=\*\*\* +# environment$/m);
    expect(stdout).not.toContain("hidden");
    for (const command of ["up", "serve", "bridge", "doctor"]) {
      const { stdout: help } = await cli([command, "--help"]);
      for (const name of ["MONGODB_URI", "MONGODB_DATABASE", "MONGO_COLLECTION"])
        expect(help).toContain(name);
    }
    for (const name of ["BROKER_ADDR", "CSV_PATH"]) {
      expect((await cli(["produce", "--help"])).stdout).toContain(name);
    }
    expect((await cli(["broker", "--help"])).stdout).toContain("DELIVERY_MODE");
  });

  it("doctor finds a MongoDB that answers, and says what to do about one that is not there", async (context) => {
    const none = { MONGODB_URI: `mongodb://user:hidden@127.0.0.1:${await freePort()}` };
    const { code, stdout } = await cli(["doctor"], none);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAIL {2}MongoDB mongodb:\/\/\*\*\*@127\.0\.0\.1:\d+: .*Next: start it there/m);
    expect(stdout).not.toContain("hidden");
    const reason = missingMongoDb();
    if (reason) context.skip(reason);
    await using server = await startMongoDb();
    const found = await cli(["doctor"], { MONGODB_URI: server.url });
    expect(found.stdout).toMatch(
      /^ok {4}MongoDB mongodb:\S+: answers, readings are kept in message_streaming\.metrics$/m,
    );
    expect(found.code).toBe(0);
  });
});
