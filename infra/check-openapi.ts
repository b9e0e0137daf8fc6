/**
 * Lints the OpenAPI document as it is served: Redocly's recommended rules, every warning an error. Asks nobody over the network.
 * Exits 0, or 1 with one line a problem.
 */
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { openapiRoutes } from "../functions/routes/openapi.ts";

const response = await openapiRoutes().request("/openapi.yaml");
const config = await createConfig({
  extends: ["recommended"],
  // A WebSocket is answered 101, and by no other status that is no refusal.
  rules: { "operation-2xx-response": "off" },
});
const source = await response.text();
const problems = await lintFromString({ source, absoluteRef: "openapi.yaml", config });
for (const { ruleId, severity, message, location } of problems) {
  console.error(`openapi.yaml ${location[0]?.pointer ?? ""}: ${message} (${severity}: ${ruleId})`);
}
if (problems.length === 0) console.log("The OpenAPI document is as the linter wants it");
process.exitCode = problems.length === 0 ? 0 : 1;
