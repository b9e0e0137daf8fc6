/**
 * Entry of Cloudflare Workers that answers for readings too, from MongoDB (MONGODB_URI, a secret). Apart from the other one, as the driver
 * makes the bundle larger by three quarters and needs Node's own modules:
 * `npx wrangler deploy workers/index-mongodb.ts --compatibility-flags enable_request_signal nodejs_compat no_web_socket_compression`.
 */
import { noTelemetry } from "./no-telemetry.ts";
import { createWorkerTelemetry } from "./telemetry-mongodb.ts";
import { createWorker } from "./worker.ts";

export { CompanyHub } from "./company-hub.ts";

export default createWorker({
  openTelemetry: ({ MONGODB_URI, ...settings }) =>
    MONGODB_URI === undefined
      ? noTelemetry()
      : createWorkerTelemetry({ settings: { ...settings, MONGODB_URI } }),
});
