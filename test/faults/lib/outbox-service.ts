/**
 * A service that publishes through an outbox, to be killed: `node outbox-service.ts FILE AMQP_URL NAME`. Each of its orders is a row of
 * its own table and a message, in one transaction; every fifth it rolls back. Prints `up` once it works and `drained` after SIGTERM.
 */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { createPublisher } from "../../../bridge/publisher/publisher.ts";

const [file, amqpUrl, name] = process.argv.slice(2) as [string, string, string];
const database = new DatabaseSync(file, { timeout: 10_000 });
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
database.exec("CREATE TABLE IF NOT EXISTS orders (service TEXT, n INTEGER, PRIMARY KEY (service, n))");
const publisher = createPublisher({
  ...{ amqpUrl, appId: name, reliability: "outbox" },
  outbox: { database, pollMs: 100 },
  // So a killed one's lease is over after two seconds.
  retry: { timeoutMs: 1_000, baseMs: 20, maxMs: 200 },
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});

let isStopping = false;
process.once("SIGTERM", () => {
  isStopping = true;
});
const insert = database.prepare("INSERT INTO orders VALUES (?, ?)");
const last = database.prepare("SELECT coalesce(max(n), 0) AS n FROM orders WHERE service = ?").get(name) as {
  n: number;
};
process.stdout.write("up\n");
for (let n = last.n + 1, turn = 0; !isStopping; turn++) {
  database.exec("BEGIN IMMEDIATE");
  insert.run(name, n);
  const isRolledBack = turn % 5 === 4;
  const id = isRolledBack ? `${name}-${n}-rolled-back` : `${name}-${n}`;
  void publisher.publish(`orders.${name}.created`, { n }, { messageId: id });
  // Killed here, neither the order nor its message is there.
  if (turn % 50 === 0) await sleep(2);
  database.exec(isRolledBack ? "ROLLBACK" : "COMMIT");
  if (!isRolledBack) n++;
  if (turn % 4 === 0) await sleep(4);
}
await publisher.close({ timeoutMs: 30_000 });
database.close();
process.stdout.write("drained\n");
