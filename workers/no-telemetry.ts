/** What a Worker without MongoDB has in place of a TelemetryStore: it has no disk of its own to keep readings on. */
import { MillraceError } from "../functions/core/errors.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";

/** Every call rejects with MillraceError `unavailable`. */
export function noTelemetry(): TelemetryStore {
  const refuse = async (): Promise<never> => {
    throw new MillraceError(
      "unavailable",
      "Cannot reach the telemetry store: this Worker has none, expected MONGODB_URI and the entry workers/index-mongodb.ts",
    );
  };
  return {
    write: refuse,
    gpus: refuse,
    owners: refuse,
    readings: refuse,
    expire: refuse,
    ping: refuse,
    async [Symbol.asyncDispose]() {},
  };
}
