/** The HTTP contract on Deno. */
import { describeHttpContract } from "../contracts/http.ts";
import { missingRuntime } from "../support/runtimes.ts";
import { missing } from "../support/servers.ts";
import { itScoresFully, startContractServer } from "./contract-support.ts";

const skip = missing("redis-server") ?? missingRuntime("deno");

describeHttpContract({
  ...{ name: "Deno over RESP", mode: "auth", skip },
  start: () => startContractServer({ runtime: "deno", store: "resp" }),
});
describeHttpContract({
  ...{ name: "Deno over REST", mode: "disabled", skip },
  start: () =>
    startContractServer({ runtime: "deno", store: "rest", settings: { STREAMING_ENABLED: "false" } }),
});
itScoresFully({ name: "Deno over REST", runtime: "deno", store: "rest", skip });
