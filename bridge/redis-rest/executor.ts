/** Runs commands over one connection to Redis, in the order of the requests. */
import { ErrorReply } from "redis";
import type { Logger } from "../../functions/core/logger.ts";
import { type Client, openRedisLink } from "../../functions/runtimes/node/redis-link.ts";
import type { Command } from "./command.ts";
import { type Outcome, REPLY_OPTIONS, type Reply } from "./reply.ts";
import { type CommandTable, judge, readCommandTable } from "./rules.ts";
import type { Access } from "./tokens.ts";

export interface Executor extends AsyncDisposable {
  /** An outcome a command; other clients' commands may run between them. @throws MillraceError `unavailable`. */
  pipeline(commands: readonly Command[], access: Access): Promise<Outcome[]>;
  /** All or nothing, with nothing between; an error when the transaction was not run. @throws MillraceError `unavailable`. */
  transaction(commands: readonly Command[], access: Access): Promise<Outcome[] | string>;
  /** Resolves when Redis has answered. @throws MillraceError `unavailable`, `invalid-settings` when it never let us in. */
  ping(): Promise<void>;
}

/** Connects by itself, again and again. @throws MillraceError `invalid-settings` when the URL is none of Redis. */
export function openExecutor(url: string, logger: Logger): Executor {
  let table: CommandTable = new Map();
  const link = openRedisLink({
    url,
    logger,
    async prepare(client) {
      table = readCommandTable(await client.sendCommand(["COMMAND"]));
    },
  });

  const send = (client: Client, command: Command) =>
    client.sendCommand(command, REPLY_OPTIONS) as Promise<unknown> as Promise<Reply>;

  /** Every reply there is, errors too. */
  const sendAll = async (client: Client, commands: readonly Command[]): Promise<(Reply | ErrorReply)[]> => {
    const calls = commands.map((command) => send(client, command));
    const settled = await link.answer(client, Promise.allSettled(calls));
    return Promise.all(
      settled.map(async (call) => {
        if (call.status === "fulfilled") return call.value;
        if (!(call.reason instanceof ErrorReply)) return link.answer(client, Promise.reject(call.reason));
        // The link knows which of them mean that another server is the primary now.
        if (call.reason.message.startsWith("READONLY")) {
          await link.answer(client, Promise.reject(call.reason)).catch(() => {});
        }
        return call.reason;
      }),
    );
  };

  return {
    async pipeline(commands, access) {
      const client = link.current();
      const verdicts = commands.map((command) => judge(table, command, access));
      const passed = verdicts.flatMap((verdict) => (verdict.error === undefined ? [verdict.command] : []));
      const replies = passed.length === 0 ? [] : await sendAll(client, passed);
      return verdicts.map((verdict) => (verdict.error === undefined ? outcomeOf(replies.shift()!) : verdict));
    },
    async transaction(commands, access) {
      const client = link.current();
      const verdicts = commands.map((command) => judge(table, command, access));
      const refused = verdicts.find(({ error }) => error !== undefined)?.error;
      if (refused !== undefined) return refused;
      const passed = verdicts.flatMap((verdict) => (verdict.error === undefined ? [verdict.command] : []));
      // Written in one turn, so nothing of another request comes between.
      const replies = await sendAll(client, [["MULTI"], ...passed, ["EXEC"]]);
      const executed = replies.at(-1)!;
      if (Array.isArray(executed)) return (executed as readonly Reply[]).map(outcomeOf);
      const first = replies.find((reply) => reply instanceof ErrorReply);
      return `EXECABORT Transaction discarded because of: ${first?.message ?? "no reply"}`;
    },
    async ping() {
      const client = await link.connected();
      await link.answer(client, client.ping());
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

function outcomeOf(reply: Reply | ErrorReply): Outcome {
  return reply instanceof ErrorReply ? { error: reply.message } : { reply };
}
