/**
 * Which commands pass. All clients share one connection, so nothing may hold it or change its state; and a REST token is for data, not
 * for the server. What a command is comes from the server itself (COMMAND), so that a newer Redis is judged by its own table.
 */
import type { Command } from "./command.ts";
import type { Access } from "./tokens.ts";

/** What COMMAND says of a command, or of a subcommand as `name|sub`. */
interface CommandFacts {
  readonly flags: ReadonlySet<string>;
  /** Of the access lists, such as `@read`. */
  readonly categories: ReadonlySet<string>;
}

export type CommandTable = ReadonlyMap<string, CommandFacts>;

/** What is sent, or why not: a text with Redis's prefix of an error's kind. */
export type Verdict = { readonly command: Command; readonly error?: undefined } | { readonly error: string };

/** Reasons of those that COMMAND does not tell apart. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ["script|kill", "it ends another client's script"],
  ["function|kill", "it ends another client's function"],
  ["script|debug", "it stops at the script of another client"],
  ["wait", "it would hold the connection that all clients share"],
  ["waitaof", "it would hold the connection that all clients share"],
  ["cluster", "the gateway speaks for one server"],
  ["latency", "it is for the server's operator"],
  ["slowlog", "it is for the server's operator"],
  ["module", "it is for the server's operator"],
  ["acl", "it is for the server's operator"],
  ["config", "it is for the server's operator"],
  ["memory|purge", "it is for the server's operator"],
  ["subscribe", "use GET or POST /subscribe/<channel>"],
  ["psubscribe", "use GET or POST /psubscribe/<pattern>"],
  ["monitor", "use GET or POST /monitor"],
]);
/** In @connection, and fine. */
const CONNECTION = new Set(["ping", "echo"]);
/** In @pubsub, and fine. */
const PUBSUB = new Set(["publish", "spublish", "pubsub"]);
/** In @dangerous, and what @upstash/redis sends or Upstash documents. */
const DANGEROUS = new Set(["keys", "flushdb", "info", "sort", "sort_ro"]);
/** Blocking only with BLOCK. */
const BLOCK_OPTION = new Set(["xread", "xreadgroup"]);
/** Arguments an option of XREAD and XREADGROUP takes. */
const OPTION_ARGUMENTS: Readonly<Record<string, number>> = { count: 1, group: 2 };
/** Change nothing, though not flagged `readonly`: that is for commands with keys. */
const HARMLESS = new Set(["ping", "echo", "time"]);
const READ_ONLY_SCRIPTS = ["eval_ro", "evalsha_ro", "fcall_ro"];
/**
 * Not for the read-only token: the first two may look at every key there is (Upstash, REST API, "Security and Authentication"), a script
 * may never end, and the last takes the product of two values' lengths.
 */
const COSTLY_READS = new Set(["keys", "scan", ...READ_ONLY_SCRIPTS, "lcs"]);
/** With a negative count each gives as many members as it says, however few there are: neither for it. */
const RANDOM_READS = new Set(["srandmember", "hrandfield", "zrandmember"]);
/** Run code of the client. */
const SCRIPTS = new Set(["eval", "evalsha", "fcall", ...READ_ONLY_SCRIPTS]);

/** From the reply of COMMAND: Redis 6 gives seven members an entry, Redis 7 ten, the last of them subcommands of the same form. */
export function readCommandTable(reply: unknown): CommandTable {
  const table = new Map<string, CommandFacts>();
  const add = (entries: unknown) => {
    for (const entry of entries as unknown[][]) {
      const [name, flags, categories, subcommands] = [entry[0], entry[2], entry[6], entry[9]];
      table.set(String(name), {
        flags: new Set(flags as string[]),
        categories: new Set((categories ?? []) as string[]),
      });
      if (Array.isArray(subcommands)) add(subcommands);
    }
  };
  add(reply);
  return table;
}

/** Judges one command by the table and the token. */
export function judge(table: CommandTable, command: Command, access: Access): Verdict {
  const name = wordOf(command[0]);
  const full = `${name}|${wordOf(command[1])}`;
  // Upstash has one database, so that is what "all" means there.
  if (name === "flushall") return judge(table, ["FLUSHDB", ...command.slice(1)], access);
  // What @upstash/redis says of itself is about a connection, and a request has none: only the answer is Redis's.
  if (full === "client|setinfo") return { command: ["ECHO", "OK"] };
  const facts = table.get(full) ?? table.get(name);
  if (facts === undefined) return { error: `ERR unknown command '${shown(name)}'` };
  const reason = REFUSED.get(full) ?? REFUSED.get(name) ?? reasonAgainst(name, facts, command);
  if (reason !== undefined) {
    return { error: `ERR Command is not available: '${shown(name.toUpperCase())}': ${reason}` };
  }
  const mayRun =
    access === "write" ||
    HARMLESS.has(name) ||
    (facts.flags.has("readonly") && !facts.flags.has("write") && !isCostly(name, command));
  if (mayRun) return { command };
  return {
    error: `NOPERM this user has no permissions to run the '${shown(name)}' command: the token is the read-only one`,
  };
}

/** Whether it runs a script or a function. */
export function isScript(command: Command): boolean {
  return SCRIPTS.has(wordOf(command[0]));
}

function isCostly(name: string, command: Command): boolean {
  return COSTLY_READS.has(name) || (RANDOM_READS.has(name) && wordOf(command[2]).startsWith("-"));
}

function reasonAgainst(
  name: string,
  { flags, categories }: CommandFacts,
  command: Command,
): string | undefined {
  if (flags.has("admin") || categories.has("@admin")) return "it is for the server's operator";
  if (categories.has("@transaction")) return "use POST /multi-exec";
  if (categories.has("@pubsub") && !PUBSUB.has(name)) return "a request has no subscription";
  if (categories.has("@connection") && !CONNECTION.has(name)) return "all clients share one connection";
  if (categories.has("@blocking") || flags.has("blocking")) {
    if (!BLOCK_OPTION.has(name)) return "it would hold the connection that all clients share";
    if (hasBlock(command)) return "with BLOCK it would hold the connection that all clients share";
  }
  if (categories.has("@dangerous") && !DANGEROUS.has(name))
    return "it reaches beyond the data of this database";
  return undefined;
}

/** Whether BLOCK stands where an option does: a group, a consumer or a stream may bear any name. */
function hasBlock(command: Command): boolean {
  for (let at = 1; at < command.length; at++) {
    const option = wordOf(command[at]);
    if (option === "streams") return false;
    if (option === "block") return true;
    at += OPTION_ARGUMENTS[option] ?? 0;
  }
  return false;
}

function wordOf(argument: string | Buffer | undefined): string {
  return (typeof argument === "string" ? argument : (argument?.toString("latin1") ?? "")).toLowerCase();
}

/** Of a name a client made up: short, and without what would end a line. */
function shown(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}
