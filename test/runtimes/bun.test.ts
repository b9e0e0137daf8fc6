/** Bun, as a real process. */
import { describeRuntime } from "../contracts/runtime.ts";
import { describeWebSockets } from "../contracts/web-sockets.ts";
import { missingRuntime, programOf } from "../support/runtimes.ts";

describeWebSockets({
  name: "Bun",
  command: [programOf("bun")],
  cutsPeers: true,
  badVersionStatus: 426,
  skip: missingRuntime("bun"),
});

describeRuntime({ name: "Bun", runtime: "bun" });
