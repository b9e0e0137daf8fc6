#!/bin/sh
# Imports definitions.json into a RabbitMQ, sets the passwords, sends one message through it over AMQP, as the users that will do so.
set -eu

usage() {
  cat <<'END'
Usage: PUBLISHER_PASSWORD=... BRIDGE_PASSWORD=... infra/rabbitmq/smoke.sh [--address HOST:PORT] [--no-import]

Imports infra/rabbitmq/definitions.json by rabbitmqctl, gives the users publisher and bridge these passwords, publishes one message to the
exchange events as publisher, with a confirm, and takes it out of the queue events.metrics as bridge. Needs no management plugin.

  --address HOST:PORT  where the broker takes AMQP. Default: 127.0.0.1:5672
  --no-import          leaves definitions and passwords as they are and only sends the message
  --help               this text

Environment:
  PUBLISHER_PASSWORD, BRIDGE_PASSWORD  to set, or with --no-import those that are set
  RABBITMQCTL                          how to run rabbitmqctl. Default: rabbitmqctl. In a container: "docker exec -i NAME rabbitmqctl"

Import again whenever you like: what is there stays, messages too; the passwords are the ones given here.
The queue must be at rest (no messages, no consumers): the message of this script is nobody else's.

Exit status: 0 the message arrived, 1 something was refused or missing, 2 wrong usage.
END
}

fail() {
  echo "smoke.sh: $1" >&2
  exit "${2:-1}"
}

address=127.0.0.1:5672
import=yes
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit 0 ;;
    --no-import) import=no ;;
    --address) [ $# -ge 2 ] || fail "--address: expected HOST:PORT (see --help)" 2; address=$2; shift ;;
    *) fail "$1: unknown, expected --address, --no-import or --help" 2 ;;
  esac
  shift
done
case "$address" in
  *:*[!0-9]* | *: | :* ) fail "--address $address: expected HOST:PORT" 2 ;;
  *:*) ;;
  *) fail "--address $address: expected HOST:PORT" 2 ;;
esac
[ -n "${PUBLISHER_PASSWORD:-}" ] || fail "PUBLISHER_PASSWORD: missing, expected the password of the user publisher" 2
[ -n "${BRIDGE_PASSWORD:-}" ] || fail "BRIDGE_PASSWORD: missing, expected the password of the user bridge" 2
cd "$(dirname "$0")/../.."
[ -d node_modules/amqplib ] || fail "amqplib is not installed, expected: npm ci"

if [ "$import" = yes ]; then
  # Not quoted: it may be a command with arguments.
  ctl="${RABBITMQCTL:-rabbitmqctl}"
  $ctl -q import_definitions <infra/rabbitmq/definitions.json >&2 || fail "the definitions were not imported"
  # By standard input: arguments can be read by everybody on the machine.
  printf "%s\n" "$PUBLISHER_PASSWORD" | $ctl -q change_password publisher >&2 || fail "the password of publisher was not set"
  printf "%s\n" "$BRIDGE_PASSWORD" | $ctl -q change_password bridge >&2 || fail "the password of bridge was not set"
fi

ADDRESS=$address exec node --input-type=module - <<'END'
import { randomUUID } from "node:crypto";
import amqplib from "amqplib";

const { ADDRESS, PUBLISHER_PASSWORD, BRIDGE_PASSWORD } = process.env;
const QUEUE = "events.metrics";
const as = async (user, password) => {
  const url = `amqp://${user}:${encodeURIComponent(password)}@${ADDRESS}/events?heartbeat=5`;
  const connection = await amqplib.connect(url, { timeout: 10_000 }).catch((error) => {
    throw new Error(`cannot connect to ${ADDRESS} as ${user}: ${error.message}`);
  });
  connection.on("error", () => {});
  return connection;
};
const open = async (channel) => {
  const opened = await channel;
  opened.on("error", () => {});
  return opened;
};

let exitCode = 0;
const connections = [];
try {
  const bridge = await as("bridge", BRIDGE_PASSWORD);
  connections.push(bridge);
  const publisher = await as("publisher", PUBLISHER_PASSWORD);
  connections.push(publisher);
  const reader = await open(bridge.createChannel());
  const writer = await open(publisher.createConfirmChannel());

  const { messageCount, consumerCount } = await reader.checkQueue(QUEUE);
  if (messageCount > 0 || consumerCount > 0) {
    throw new Error(
      `queue ${QUEUE} is in use: ${messageCount} messages and ${consumerCount} consumers, expected none of either`,
    );
  }
  const messageId = `smoke-${randomUUID()}`;
  const arrived = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`the message did not arrive in ${QUEUE} within 10 s`)), 10_000).unref();
    reader.once("error", reject);
    const onMessage = (message) => {
      const isOurs = message?.properties.messageId === messageId;
      if (message) reader[isOurs ? "ack" : "nack"](message);
      if (isOurs) resolve();
    };
    reader.consume(QUEUE, onMessage).catch(reject);
  });
  arrived.catch(() => {});
  const body = Buffer.from(JSON.stringify({ companyId: "smoke", ts: new Date().toISOString() }));
  const options = { messageId, persistent: true, contentType: "application/json" };
  writer.publish("events", "smoke.message.sent", body, options);
  await writer.waitForConfirms();
  await arrived;
  await reader.close();
  console.log(`ok: published to exchange events as publisher, taken from queue ${QUEUE} as bridge`);
} catch (error) {
  console.error(`smoke.sh: ${error.message}`);
  exitCode = 1;
}
await Promise.all(connections.map((connection) => connection.close().catch(() => {})));
process.exit(exitCode);
END
