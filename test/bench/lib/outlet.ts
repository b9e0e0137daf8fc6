/** Where the publisher's events go. */
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectNats } from "@nats-io/transport-node";
import { connect as connectAmqp } from "amqplib";
import { encodeFrames, encodeHandshake } from "../../../bridge/broker/framing.ts";
import { parseEvent } from "../../../functions/core/event.ts";
import { httpOutlet } from "./http-outlet.ts";
import { openRedisLog } from "./logs.ts";
import { EVENT_TYPE } from "./payload.ts";

export type PublishTarget =
  /** One event a POST: how the peers take them. */
  | { readonly kind: "http"; readonly url: string }
  /** Appended to Millrace's log on Redis, what is due in one go in one call. */
  | { readonly kind: "log"; readonly redisUrl: string; readonly company: string }
  /** A subject of a NATS server. */
  | { readonly kind: "nats"; readonly url: string; readonly subject: string }
  /** An exchange of RabbitMQ: persistent messages, each with an id, confirmed. */
  | {
      readonly kind: "rabbitmq";
      readonly url: string;
      readonly exchange: string;
      readonly routingKey: string;
    }
  /** A framed-TCP broker. */
  | { readonly kind: "tcp"; readonly port: number };

export interface Outlet {
  /** Sends without waiting. */
  send(events: readonly string[]): void;
  /** Events sent and not yet taken. */
  pending(): number;
  /** Why events could not be sent. */
  failure(): string | undefined;
  close(): void;
}

export function openOutlet(target: PublishTarget): Promise<Outlet> {
  if (target.kind === "http") return Promise.resolve(httpOutlet(new URL(target.url)));
  if (target.kind === "log") return logOutlet(target.redisUrl, target.company);
  if (target.kind === "nats") return natsOutlet(target.url, target.subject);
  if (target.kind === "rabbitmq") return rabbitOutlet(target.url, target.exchange, target.routingKey);
  return tcpOutlet(target.port);
}

async function logOutlet(redisUrl: string, companyId: string): Promise<Outlet> {
  const opened = await openRedisLog(redisUrl);
  const run = crypto.randomUUID();
  let lastId = 0;
  let unanswered = 0;
  let failure: string | undefined;
  return {
    send(events) {
      unanswered += events.length;
      const batch = events.map((dataText) =>
        parseEvent({ companyId, source: "/bench", id: `${run}-${++lastId}`, type: EVENT_TYPE, dataText }),
      );
      opened.log
        .append(batch)
        .catch((error) => {
          failure ??= String(error);
        })
        .finally(() => {
          unanswered -= events.length;
        });
    },
    pending: () => unanswered,
    failure: () => failure,
    close: () => void opened[Symbol.asyncDispose](),
  };
}

async function natsOutlet(url: string, subject: string): Promise<Outlet> {
  const connection = await connectNats({ servers: url });
  let unflushed = 0;
  return {
    send(events) {
      for (const event of events) connection.publish(subject, event);
      unflushed += events.length;
      void connection.flush().then(() => {
        unflushed -= events.length;
      });
    },
    pending: () => unflushed,
    failure: () => (connection.isClosed() ? "the NATS connection closed" : undefined),
    close: () => void connection.close(),
  };
}

async function rabbitOutlet(url: string, exchange: string, routingKey: string): Promise<Outlet> {
  const connection = await connectAmqp(url);
  const channel = await connection.createConfirmChannel();
  const run = crypto.randomUUID();
  let lastId = 0;
  let unconfirmed = 0;
  let failure: string | undefined;
  const failed = (error: unknown) => {
    if (error) failure ??= String(error);
  };
  connection.on("error", failed);
  channel.on("error", failed);
  return {
    send(events) {
      unconfirmed += events.length;
      for (const event of events) {
        const options = { persistent: true, messageId: `${run}-${++lastId}` };
        channel.publish(exchange, routingKey, Buffer.from(event), options, (error) => {
          unconfirmed--;
          failed(error);
        });
      }
    },
    pending: () => unconfirmed,
    failure: () => failure,
    close: () => void connection.close().catch(() => {}),
  };
}

async function tcpOutlet(port: number): Promise<Outlet> {
  const socket = connectTcp({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  let failure: string | undefined;
  let unwritten = 0;
  socket.on("error", (error) => {
    failure = String(error);
  });
  socket.write(encodeHandshake("producer"));
  return {
    send(events) {
      unwritten += events.length;
      socket.write(encodeFrames(events.map((event) => Buffer.from(event))), () => {
        unwritten -= events.length;
      });
    },
    pending: () => unwritten,
    failure: () => failure,
    close: () => socket.end(),
  };
}
