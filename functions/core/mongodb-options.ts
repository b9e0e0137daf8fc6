/** How MongoDB's driver is opened: the same on every runtime that has it. */
import { describeError, MillraceError } from "./errors.ts";
import { maskUrls } from "./mask-urls.ts";

/** What MONGODB_URI may say otherwise. */
const DEFAULTS = {
  appName: "millrace",
  /** Milliseconds until a call fails while no server answers. */
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 5_000,
  /** Over what the server itself gives a command (mongodb-calls.ts): then the connection is dead. */
  socketTimeoutMS: 30_000,
  waitQueueTimeoutMS: 10_000,
  maxPoolSize: 20,
  /** On most servers of a replica set and in their journals, so that an ack may follow; a server that is none does it alone. */
  w: "majority",
  journal: true,
  wtimeoutMS: 10_000,
};

/** Of the database: a count that is kept may not be one of a server that lags behind. */
export const FROM_PRIMARY = { readPreference: "primary" } as const;

/**
 * A client of MONGODB_URI, not connected.
 * @param create `(options) => new MongoClient(uri, options)`.
 * @throws MillraceError `invalid-settings` when the driver cannot use it; no password is in the message.
 */
export function createClientOf<Client>(uri: string, create: (options: object) => Client): Client {
  const names = new URLSearchParams(uri.split("?")[1] ?? "").keys();
  const said = new Set([...names].map((name) => name.toLowerCase()));
  const defaults = Object.entries(DEFAULTS).filter(([name]) => !said.has(name.toLowerCase()));
  try {
    return create(Object.fromEntries(defaults));
  } catch (error) {
    // The driver quotes a URI that it cannot read.
    const reason = maskUrls(describeError(error).replaceAll(uri, "it"));
    throw new MillraceError(
      "invalid-settings",
      `Cannot use MONGODB_URI: ${reason}, expected mongodb://host:port or mongodb+srv://host, where need be with user:password@ before the host (percent-encoded)`,
    );
  }
}
