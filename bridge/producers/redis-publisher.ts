/**
 * Messages to Redis channels, as services publish them: the JSON body on the message's channel, a log line on `logs:all` as well. Redis keeps
 * nothing: what nobody is subscribed to is gone.
 */
import type { Logger } from "../../functions/core/logger.ts";
import { connectRedisOnce, redisError } from "../redis-client.ts";
import { createInFlight } from "./in-flight.ts";
import { encodeBody, type Message } from "./message.ts";
import type { Target } from "./target.ts";

/** @throws MillraceError `unauthorized` for refused credentials, `unavailable` for no connection. */
export async function connectRedisPublisher(url: string, logger: Logger): Promise<Target> {
  const what = `Cannot publish to Redis "${new URL(url).host}"`;
  let lost: unknown;
  const onLost = (cause: unknown) => {
    lost ??= cause;
  };
  const client = await connectRedisOnce(url, onLost, NEVER);
  if (!client) throw redisError(what, new Error("not connected"));
  const inFlight = createInFlight();
  let unheard = 0;

  const publish = async (message: Message) => {
    const body = Buffer.from(encodeBody(message));
    const heard = await Promise.all(channelsOf(message).map((channel) => client.publish(channel, body)));
    if (heard.every((subscribers) => subscribers === 0)) unheard++;
  };
  const failed = (cause: unknown) => Promise.reject(redisError(what, lost ?? cause));
  return {
    send: (message) => inFlight.add(publish(message).catch(failed)),
    async close() {
      try {
        await inFlight.settle();
      } finally {
        client.destroy();
        if (unheard > 0)
          logger.warn({ messages: unheard }, "Messages that nobody was subscribed to are lost");
      }
    },
  };
}

function channelsOf({ subject }: Message): string[] {
  return subject.startsWith("logs:") ? ["logs:all", subject] : [subject];
}

/** There is nothing to abort: connecting is bounded as it is. */
const NEVER = new AbortController().signal;
