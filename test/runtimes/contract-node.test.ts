/** The HTTP contract on Node. */
import { describeHttpContract } from "../contracts/http.ts";
import { missingRuntime } from "../support/runtimes.ts";
import { missing } from "../support/servers.ts";
import { itScoresFully, startContractServer } from "./contract-support.ts";

const skip = missing("redis-server") ?? missingRuntime("node");

describeHttpContract({
  ...{ name: "Node over RESP", mode: "auth", skip },
  start: () => startContractServer({ runtime: "node", store: "resp" }),
});
describeHttpContract({
  ...{ name: "Node over REST", mode: "disabled", skip },
  start: () =>
    startContractServer({ runtime: "node", store: "rest", settings: { STREAMING_ENABLED: "false" } }),
});
itScoresFully({ name: "Node over REST", runtime: "node", store: "rest", skip });
