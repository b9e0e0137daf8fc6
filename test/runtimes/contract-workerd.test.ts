/** The HTTP contract on workerd, where a company is a Durable Object. */
import { expect, it } from "vitest";
import { createContext } from "../../bin/conformance/context.ts";
import { prepare } from "../../bin/conformance/run.ts";
import { describeHttpContract } from "../contracts/http.ts";
import { missingMongoDb } from "../support/mongodb.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { itScoresFully, startContractServer } from "./contract-support.ts";

const skip = missing("redis-server");
const noMongoDb = missingMongoDb();
/** Static assets are Cloudflare's to serve, in front of the Worker. */
const NO_ASSETS = ["openapi.files"];
const workerd = { runtime: "workerd", store: "rest" } as const;

describeHttpContract({
  // A deployment cuts what is open; and workerd sends no `Upgrade` with an answer that is none (seen with 1.20261117.1).
  ...{ name: "workerd over REST", mode: "auth", drains: false, dropsUpgrade: true, skip },
  ...{ lacks: NO_ASSETS, skips: { telemetry: noMongoDb } },
  start: () => startContractServer({ ...workerd, telemetry: noMongoDb === undefined ? "mongodb" : "none" }),
});
describeHttpContract({
  ...{ name: "workerd over REST", mode: "disabled", skip },
  start: () => startContractServer({ ...workerd, settings: { STREAMING_ENABLED: "false" } }),
});
// The Worker without MongoDB.
itScoresFully({ name: "workerd over REST", ...workerd, lacks: NO_ASSETS, skip });

/** Why a heartbeat is needed there. When this fails, workerd has mended it (github.com/cloudflare/workerd/issues/5611): say so where the traps are named. */
it("workerd notices that a client has gone at its next write, and not before", async (context) => {
  if (skip !== undefined) context.skip(skip);
  await using server = await startContractServer({ ...workerd, settings: { HEARTBEAT_MS: "600000" } });
  const { target } = server;
  const kit = createContext(target, (await prepare(target)).learned);
  const open = async () => {
    const { json } = await kit.askRoute("/stream/stats");
    return (json as { connections: { totalConnections: number } }).connections.totalConnections;
  };
  try {
    await kit.publish(kit.make(1));
    await waitFor("the stream of the first look to be forgotten", async () => (await open()) === 0);
    const stream = await kit.open();
    const socket = await kit.openSocket();
    await waitFor("both to be counted", async () => (await open()) === 2);
    stream.close();
    await waitFor("the stream to be closed", () => stream.ended);
    // The close of a WebSocket is noticed, so what is reported of it then would tell of the stream too.
    socket.close();
    await waitFor("the WebSocket to be forgotten", async () => (await open()) < 2);
    for (let round = 0; round < 20; round++) expect(await open()).toBe(1);
    await kit.publish(kit.make(1));
    await waitFor("it to be forgotten", async () => (await open()) === 0);
  } finally {
    kit.close();
    await target.publisher?.close();
  }
});
