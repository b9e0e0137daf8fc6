/** The HTTP contract on Bun. */
import { connect } from "node:net";
import { expect, it } from "vitest";
import { describeHttpContract } from "../contracts/http.ts";
import { missingMongoDb } from "../support/mongodb.ts";
import { start } from "../support/process.ts";
import { missingRuntime, programOf } from "../support/runtimes.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { itScoresFully, startContractServer } from "./contract-support.ts";

const skip = missing("redis-server") ?? missingRuntime("bun");

describeHttpContract({
  ...{ name: "Bun over RESP", mode: "auth", skip },
  start: () => startContractServer({ runtime: "bun", store: "resp" }),
});
describeHttpContract({
  ...{ name: "Bun over REST", mode: "disabled", skip },
  start: () =>
    startContractServer({ runtime: "bun", store: "rest", settings: { STREAMING_ENABLED: "false" } }),
});
itScoresFully({
  ...{ name: "Bun over REST with MongoDB", runtime: "bun", store: "rest", telemetry: "mongodb" },
  skip: skip ?? missingMongoDb(),
});

/** Why a first frame is sent at once. When this fails, Bun has mended it (github.com/oven-sh/bun/pull/33660): say so where the traps are named. */
it("Bun keeps the end of the headers until the first chunk of a stream", async (context) => {
  if (skip !== undefined) context.skip(skip);
  const server = start(programOf("bun"), [
    "-e",
    `
    const { port } = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: ({ url }) => {
      if (url.endsWith("/none")) return new Response();
      return new Response(new ReadableStream({ start() {} }), { headers: { "x-own": "1" } });
    } });
    console.log("listening " + port);`,
  ]);
  try {
    const port = await waitFor("Bun", () => /^listening (\d+)$/m.exec(server.output())?.[1]);
    const socket = connect(Number(port), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor("some of the headers", () => /x-own: 1/i.test(text));
    // It answers others meanwhile, so it is not that it had no time.
    for (let round = 0; round < 20; round++) await fetch(`http://127.0.0.1:${port}/none`, { method: "HEAD" });
    expect(text).not.toContain("\r\n\r\n");
    socket.destroy();
  } finally {
    await server.stop("SIGKILL");
  }
});
