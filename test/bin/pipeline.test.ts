/** What `GET /api/pipeline` says of bridges that are processes of their own, on one DATA_DIR with the server. */
import { describe, expect, it } from "vitest";
import { BRIDGE_LEASE_MS, type Pipeline } from "../../functions/core/pipeline.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { cli, FREE_PORTS, JWT_SECRET, startCli, temporaryFolder } from "./cli.ts";

describe("GET /api/pipeline", () => {
  it("shows a bridge's sources, a killed bridge as lost, then its successor alone, until that says good-bye", async () => {
    using folder = temporaryFolder();
    const settings = { ...FREE_PORTS, DATA_DIR: folder.path };
    const brokerPort = await freePort();
    await using serve = startCli(["serve"], { ...settings, JWT_SECRET });
    const { stdout } = await cli(["token", "--role", "ops"], { JWT_SECRET });
    const headers = { authorization: `Bearer ${stdout.trim()}` };
    const url = await serve.ready();
    const ask = async () => {
      const response = await fetch(`${url}/api/pipeline`, { headers });
      expect(response.status).toBe(200);
      return (await response.json()) as Pipeline;
    };
    const until = async (states: string) =>
      waitFor(`sources ${states}`, async () => {
        const pipeline = await ask();
        return pipeline.sources.map(({ state }) => state).join() === states && pipeline;
      });
    await until("");

    const bridgeSettings = { ...settings, BROKER_ADDR: `127.0.0.1:${brokerPort}` };
    await using bridge = startCli(["bridge"], bridgeSettings);
    const { sources } = await until("down");
    expect(sources[0]).toMatchObject({ kind: "framed-tcp", appended: 0, rate: 0, lag: null });
    expect(sources[0]!.reason).toContain(String(brokerPort));
    bridge.child.kill("SIGKILL");
    await bridge.ended;
    {
      // As if the lease had ended.
      using database = openSqliteDatabase({ folder: folder.path, logger: silent });
      database.connection.prepare("UPDATE bridges SET at_ms = at_ms - ?").run(BRIDGE_LEASE_MS);
    }
    await until("lost");
    await using next = startCli(["bridge"], bridgeSettings);
    const { sources: successor } = await until("down");
    expect(successor[0]!.instance).not.toBe(sources[0]!.instance);
    next.child.kill("SIGTERM");
    expect(await next.ended).toBe(0);
    // The lost one ran what nobody runs now.
    await until("lost");
  }, 60_000);
});
