/**
 * A real server of MongoDB's protocol for tests: that of MONGODB_URI, else a process of its own: mongod, or what infra/setup.sh brought
 * (mongod, or FerretDB: the same protocol over SQLite).
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { MongoClient } from "mongodb";
import { start } from "./process.ts";
import { startServer, type TestServer } from "./servers.ts";

const NEXT = "sh infra/setup.sh test";

export interface TestMongoDb extends Pick<TestServer, "url" | "kill" | "restart" | "process"> {
  /** The name of a database nobody else has; gone with the server. */
  database(): string;
  [Symbol.asyncDispose](): PromiseLike<void>;
}

/**
 * Undefined when a server can be had; else why not and the command that provides it.
 * @param needs `process`: one that the test may kill and restart.
 */
export function missingMongoDb(needs?: "process"): string | undefined {
  if (process.env.MONGODB_URI) {
    return needs === undefined ? undefined : "MONGODB_URI names a server that a test may not kill: unset it";
  }
  return findServer() === undefined ? `no MongoDB: set MONGODB_URI, install mongod, or ${NEXT}` : undefined;
}

/**
 * @param auth Whether it asks for a user; it knows none of the test's.
 * @throws Where {@link missingMongoDb} says so.
 */
export async function startMongoDb({ auth = false } = {}): Promise<TestMongoDb> {
  const uri = process.env.MONGODB_URI;
  const databases: string[] = [];
  const database = () => {
    const name = `millrace_test_${crypto.randomUUID().slice(0, 13).replace("-", "")}`;
    databases.push(name);
    return name;
  };
  if (uri) {
    const refuse = () => {
      throw new Error(missingMongoDb("process"));
    };
    return {
      ...{ url: uri, database, kill: refuse, restart: refuse, process: refuse },
      async [Symbol.asyncDispose]() {
        await using client = new MongoClient(uri);
        for (const name of databases) await client.db(name).dropDatabase();
      },
    };
  }
  const found = findServer();
  if (found === undefined) throw new Error(missingMongoDb());
  const server = await startServer("mongodb", "mongodb", (port, folder) =>
    start(found.path, found.args(port, folder, auth)),
  );
  return { ...server, database };
}

type Arguments = (port: number, folder: string, auth: boolean) => string[];

function findServer(): { path: string; args: Arguments } | undefined {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace");
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", cache]) {
    const path = join(folder, "mongod");
    if (isProgram(path)) return { path, args: mongodArgs };
  }
  const path = join(cache, "ferretdb");
  return isProgram(path) ? { path, args: ferretDbArgs } : undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const mongodArgs: Arguments = (port, folder, auth) => [
  ...["--dbpath", folder, "--bind_ip", "127.0.0.1", "--port", String(port)],
  ...["--nounixsocket", "--quiet", "--wiredTigerCacheSizeGB", "0.25"],
  ...(auth ? ["--auth"] : []),
];

/** `state` apart from the databases, of which FerretDB takes every file for one. */
const ferretDbArgs: Arguments = (port, folder, auth) => {
  const state = join(folder, "state");
  const data = join(folder, "data");
  for (const one of [state, data]) mkdirSync(one, { recursive: true });
  return [
    ...["--handler=sqlite", `--sqlite-url=file:${data}/`, `--listen-addr=127.0.0.1:${port}`],
    ...[`--state-dir=${state}`, "--telemetry=disable", "--debug-addr=-", "--log-level=WARN"],
    ...(auth
      ? [
          "--test-enable-new-auth",
          "--setup-database=admin",
          "--setup-username=operator",
          "--setup-password=x",
        ]
      : []),
  ];
};
