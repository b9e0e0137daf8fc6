/**
 * TelemetryStore on MongoDB in a Worker. A socket belongs to the request that opened it, so every call opens a client, asks and closes it:
 * some round trips more than where a client stays. The driver needs the compatibility flag `nodejs_compat`.
 */
import { MongoClient, type MongoClientOptions } from "mongodb";
import { createMongoTelemetry } from "../functions/adapters/telemetry-store-mongodb.ts";
import { createClientOf, FROM_PRIMARY } from "../functions/core/mongodb-options.ts";
import type { Settings } from "../functions/core/settings.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";

export interface WorkerTelemetryOptions {
  readonly settings: Pick<Settings, "MONGODB_DATABASE" | "MONGO_COLLECTION"> & {
    readonly MONGODB_URI: string;
  };
}

/** A call asks some things at the same time; nobody waits for a server that changes, so no second connection watches it. */
const ONE_CALL = { maxPoolSize: 4, serverMonitoringMode: "poll" };

/** Opens nothing before it is asked. A URI that the driver cannot use fails each call with `invalid-settings`. */
export function createWorkerTelemetry({ settings }: WorkerTelemetryOptions): TelemetryStore {
  const { MONGODB_URI, MONGODB_DATABASE, MONGO_COLLECTION: collection } = settings;
  const ask = async <T>(call: (store: TelemetryStore) => Promise<T>): Promise<T> => {
    const client = createClientOf(
      MONGODB_URI,
      (defaults) => new MongoClient(MONGODB_URI, { ...defaults, ...ONE_CALL } as MongoClientOptions),
    );
    try {
      await using store = createMongoTelemetry({ db: client.db(MONGODB_DATABASE, FROM_PRIMARY), collection });
      return await call(store);
    } finally {
      await client.close();
    }
  };
  return {
    write: (readings) => ask((store) => store.write(readings)),
    gpus: (query) => ask((store) => store.gpus(query)),
    owners: (uuid, companies) => ask((store) => store.owners(uuid, companies)),
    readings: (query) => ask((store) => store.readings(query)),
    expire: (beforeMs) => ask((store) => store.expire(beforeMs)),
    ping: () => ask((store) => store.ping()),
    async [Symbol.asyncDispose]() {},
  };
}
