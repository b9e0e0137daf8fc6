/** The telemetry store on MongoDB as the settings name it. For Node, Deno and Bun: one client for the whole process. */
import { MongoClient, type MongoClientOptions } from "mongodb";
import { createMongoTelemetry } from "../../adapters/telemetry-store-mongodb.ts";
import { createClientOf, FROM_PRIMARY } from "../../core/mongodb-options.ts";
import type { Settings } from "../../core/settings.ts";
import type { TelemetryStore } from "../../ports/telemetry-store.ts";

export interface MongoTelemetryOptions {
  readonly settings: Pick<Settings, "MONGODB_DATABASE" | "MONGO_COLLECTION"> & {
    readonly MONGODB_URI: string;
  };
}

/**
 * Connects when it is first asked, and again by itself. While no server answers every call fails within some seconds with `unavailable`.
 * @throws MillraceError `invalid-settings` when the driver cannot use MONGODB_URI.
 */
export function openMongoTelemetry({ settings }: MongoTelemetryOptions): TelemetryStore {
  const { MONGODB_URI, MONGODB_DATABASE, MONGO_COLLECTION: collection } = settings;
  const client = createMongoClient(MONGODB_URI);
  const store = createMongoTelemetry({ db: client.db(MONGODB_DATABASE, FROM_PRIMARY), collection });
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await client.close();
    },
  };
}

/** @throws MillraceError `invalid-settings`; no password is in it. */
export function createMongoClient(uri: string, options: MongoClientOptions = {}): MongoClient {
  return createClientOf(uri, (defaults) => new MongoClient(uri, { ...defaults, ...options }));
}
