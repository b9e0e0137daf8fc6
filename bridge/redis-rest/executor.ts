/**
 * Runs commands in the order of the requests, over two connections to Redis: requests with a script have one of their own, because a
 * script alone can reply with more levels than can be read, which ends the connection it came over.
 */
import { ErrorReply } from "redis";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { type Client, openRedisLink, type RedisLink } from "../../functions/runtimes/node/redis-link.ts";
import type { Command } from "./command.ts";
import { type Outcome, REPLY_OPTIONS, type Reply } from "./reply.ts";
import { type CommandTable, isScript, judge, readCommandTable } from "./rules.ts";
import type { Access } from "./tokens.ts";

/** Commands of a pipeline that are sent at once: what other requests come behind. */
const PIPELINE_STEP = 500;

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
  /** Why there are no transactions, as far as is known. */
  let noTransactions: string | undefined;
  /** A script of ours was never answered: when Redis is busy with one, it is this one. */
  let isScriptLost = false;
  const endScript = async (client: Client) => {
    if (!isScriptLost) return;
    // Redis refuses both for a script that has written: only its operator can end that.
    const kills = [
      ["SCRIPT", "KILL"],
      ["FUNCTION", "KILL"],
    ];
    await Promise.allSettled(kills.map((command) => client.sendCommand(command)));
  };
  const openLink = () =>
    openRedisLink({
      ...{ url, logger },
      async prepare(client) {
        isScriptLost = false;
        table = readCommandTable(await client.sendCommand(["COMMAND"]));
        noTransactions = await refusalOfTransactions(client);
      },
      busy: endScript,
    });
  const plain = openLink();
  const scripts = openLink();
  const linkFor = (commands: readonly Command[]) => (commands.some(isScript) ? scripts : plain);

  const replyTo = async (link: RedisLink, client: Client, command: Command): Promise<Reply | ErrorReply> => {
    try {
      const call = client.sendCommand(command, REPLY_OPTIONS) as Promise<unknown> as Promise<Reply>;
      return await link.answer(client, call);
    } catch (error) {
      // The link speaks of those that will pass in its own words; the client is to get those of Redis.
      const reply = error instanceof MillraceError ? error.cause : error;
      if (reply instanceof ErrorReply) {
        if (reply.message.startsWith("BUSY ")) void endScript(client);
        return reply;
      }
      isScriptLost ||= link === scripts;
      throw error;
    }
  };

  /** Written in one turn, so nothing of another request comes between. Every reply there is, errors too. */
  const sendAll = (link: RedisLink, client: Client, commands: readonly Command[]) =>
    Promise.all(commands.map((command) => replyTo(link, client, command)));

  return {
    async pipeline(commands, access) {
      const link = linkFor(commands);
      const client = link.current();
      const verdicts = commands.map((command) => judge(table, command, access));
      const passed = verdicts.flatMap((verdict) => (verdict.error === undefined ? [verdict.command] : []));
      const replies: (Reply | ErrorReply)[] = [];
      for (let from = 0; from < passed.length; from += PIPELINE_STEP) {
        replies.push(...(await sendAll(link, client, passed.slice(from, from + PIPELINE_STEP))));
      }
      let next = 0;
      return verdicts.map((verdict) => (verdict.error === undefined ? outcomeOf(replies[next++]!) : verdict));
    },
    async transaction(commands, access) {
      const link = linkFor(commands);
      const client = link.current();
      if (noTransactions !== undefined) return noTransactions;
      const verdicts = commands.map((command) => judge(table, command, access));
      const refused = verdicts.find(({ error }) => error !== undefined)?.error;
      if (refused !== undefined) return refused;
      const passed = verdicts.flatMap((verdict) => (verdict.error === undefined ? [verdict.command] : []));
      const replies = await sendAll(link, client, [["MULTI"], ...passed, ["EXEC"]]);
      const [begun, executed] = [replies[0]!, replies.at(-1)!];
      // Since we asked.
      if (begun instanceof ErrorReply)
        return `${begun.message} (without MULTI, each command may have been run)`;
      if (Array.isArray(executed)) return (executed as readonly Reply[]).map(outcomeOf);
      const first = replies.find((reply) => reply instanceof ErrorReply);
      return `EXECABORT Transaction discarded because of: ${first?.message ?? "no reply"}`;
    },
    async ping() {
      const pingOver = async (link: RedisLink) => {
        const client = await link.connected();
        await link.answer(client, client.ping());
      };
      await Promise.all([pingOver(plain), pingOver(scripts)]);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([plain[Symbol.asyncDispose](), scripts[Symbol.asyncDispose]()]);
    },
  };
}

/** Asked beforehand: had MULTI been refused, the commands written behind it would run one by one. */
async function refusalOfTransactions(client: Client): Promise<string | undefined> {
  try {
    await client.sendCommand(["MULTI"]);
    await client.sendCommand(["EXEC"]);
    return undefined;
  } catch (error) {
    if (!(error instanceof ErrorReply)) throw error;
    await client.sendCommand(["DISCARD"]).catch(() => {});
    return error.message;
  }
}

function outcomeOf(reply: Reply | ErrorReply): Outcome {
  return reply instanceof ErrorReply ? { error: reply.message } : { reply };
}
