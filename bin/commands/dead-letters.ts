/** `millrace dead-letters`: what could not become an event, listed, shown, and replayed once the rules are right. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Replayed, replay } from "../../bridge/replay.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import { isEmbedded } from "../../functions/core/settings.ts";
import type { DeadLetters, StoredDeadLetter } from "../../functions/ports/dead-letters.ts";
import { openStore, type Store } from "../../functions/runtimes/node/open-store.ts";
import { embeddedSource, readBridgeFile } from "../bridge-file.ts";
import {
  type Context,
  helpSettings,
  holdsStore,
  openContext,
  SOURCE_SETTINGS,
  STORE_SETTINGS,
  TELEMETRY_SETTINGS,
} from "../context.ts";
import { asJson, asText } from "../dead-letter-view.ts";

/** Letters read at once: a body may have a megabyte. */
const PAGE_LETTERS = 50;
const NO_SUCH_LETTER = "Cannot find the dead letter: there is none of this id, or none any more";

const view = () => (process.stdout.isTTY ? asText : asJson);

interface ListOptions {
  readonly limit: number;
  readonly after?: string;
  readonly source?: string;
}

async function runList({ settings, logger, print }: Context, options: ListOptions): Promise<void> {
  await using store = await openLetters({ settings, logger });
  const { limit, source } = options;
  let [shown, last] = [0, ""];
  for await (const page of pages(store.deadLetters, options.after)) {
    for (const letter of page) {
      if (source !== undefined && letter.source !== source) continue;
      if (shown === limit) {
        if (process.stdout.isTTY) print(`There are more: --after ${last}`);
        return;
      }
      print(view().listed(letter));
      shown++;
      last = letter.id;
    }
  }
  if (shown === 0 && process.stdout.isTTY) print("No dead letters.");
}

/** Resolves with whether there is such a letter. */
async function runShow({ settings, logger, print }: Context, id: string): Promise<boolean> {
  await using store = await openLetters({ settings, logger });
  const letter = await store.deadLetters.get(id);
  if (letter) print(view().shown(letter));
  else logger.error({ id }, NO_SUCH_LETTER);
  return letter !== undefined;
}

interface ReplayOptions {
  readonly all?: boolean;
  readonly source?: string;
  readonly dryRun?: boolean;
  /** Path of bridge.yaml. */
  readonly config?: string;
}

/** Resolves with whether every letter asked for could be replayed. */
async function runReplay(
  { settings, logger, print, signal }: Context,
  ids: readonly string[],
  { all = false, source, dryRun = false, config: file }: ReplayOptions,
): Promise<boolean> {
  if (all === ids.length > 0) {
    throw new MillraceError("invalid-input", "Cannot replay: expected the ids of letters, or --all");
  }
  if (source !== undefined && !all) {
    throw new MillraceError("invalid-input", "Cannot replay by --source: expected it with --all");
  }
  const { sources } = readBridgeFile(settings, file).config;
  const config = { sources: [...sources, embeddedSource("127.0.0.1:9080", settings)] };
  await using store = await openLetters({ settings, logger });
  const { log, telemetry, deadLetters } = store;
  const counts = { stored: 0, duplicate: 0, decodable: 0, kept: 0 };
  const missing = new Set(ids);
  const chosen = all ? lettersUntil(deadLetters, new Date().toISOString()) : lettersOf(deadLetters, ids);
  for await (const letters of chosen) {
    if (signal.aborted) break;
    const wanted = letters.filter((letter) => source === undefined || letter.source === source);
    const results = await replay(wanted, { config, log, telemetry, deadLetters, isDryRun: dryRun });
    for (const result of results) {
      counts[result.outcome]++;
      missing.delete(result.letter.id);
      print(view().replayed(result));
    }
  }
  if (!signal.aborted) for (const id of missing) logger.error({ id }, NO_SUCH_LETTER);
  const end = signal.aborted ? "Replay was stopped" : dryRun ? "Nothing was done" : "Replay is done";
  if (process.stdout.isTTY) print(`${end}: ${inWords(counts)}`);
  else logger.info({ ...counts, isDryRun: dryRun }, end);
  return counts.kept === 0 && missing.size === 0 && !signal.aborted;
}

/** The letters there were when the command began: what comes in meanwhile must not keep it running. */
async function* lettersUntil(deadLetters: DeadLetters, end: string): AsyncGenerator<StoredDeadLetter[]> {
  for await (const page of pages(deadLetters)) {
    const before = page.filter(({ time }) => time <= end);
    yield before;
    if (before.length < page.length) return;
  }
}

async function* lettersOf(
  deadLetters: DeadLetters,
  ids: readonly string[],
): AsyncGenerator<StoredDeadLetter[]> {
  for (const id of new Set(ids)) {
    const letter = await deadLetters.get(id);
    if (letter) yield [letter];
  }
}

async function* pages(deadLetters: DeadLetters, after?: string): AsyncGenerator<StoredDeadLetter[]> {
  for (let from = after; ; ) {
    const page = await deadLetters.list({
      limit: PAGE_LETTERS,
      ...(from === undefined ? {} : { after: from }),
    });
    if (page.length === 0) return;
    from = page.at(-1)!.id;
    yield page;
  }
}

/** Nothing is made: where no store is, the settings are not those of the bridge. */
async function openLetters({ settings, logger }: Pick<Context, "settings" | "logger">): Promise<Store> {
  const { DATA_DIR } = settings;
  if (isEmbedded(settings) && !holdsStore(DATA_DIR)) {
    throw new MillraceError(
      "invalid-settings",
      `Cannot read the dead letters: there is no store in DATA_DIR ${quote(DATA_DIR)}, expected the DATA_DIR, REDIS_URL or UPSTASH_REDIS_REST_URL of the bridge`,
    );
  }
  return openStore({ settings, logger });
}

function inWords({
  stored,
  duplicate,
  decodable,
  kept,
}: Readonly<Record<Replayed["outcome"], number>>): string {
  const said = [
    [stored, "stored"],
    [duplicate, "known to the log already"],
    [decodable, "would be stored"],
    [kept, "kept, still no event"],
  ] as const;
  const parts = said.filter(([letters]) => letters > 0).map(([letters, what]) => `${letters} ${what}`);
  return parts.join(", ") || "no letters";
}

function count(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number from 1 to 999999.");
}

export function addDeadLettersCommand(program: Command): void {
  const group = program
    .command("dead-letters")
    .description("list, show and replay the messages that could not become events");
  const source = () => new Option("--source <name>", "only those of this source");
  group
    .command("list", { isDefault: true })
    .description("the oldest first, with the reason of each")
    .addOption(new Option("--limit <number>", "how many at most").argParser(count).default(50))
    .option("--after <id>", "those after this letter")
    .addOption(source())
    .action((options: ListOptions) => runList(openContext(), options));
  group
    .command("show")
    .description("one letter with its headers and its body, as text or, where it is not UTF-8, in hex")
    .argument("<id>", "as listed")
    .action(async (id: string) => {
      if (!(await runShow(openContext(), id))) process.exitCode = 1;
    });
  group
    .command("replay")
    .description(
      "decode them again by the rules of now, append what is an event to the log, and remove its letter",
    )
    .argument("[id...]", "as listed")
    .option("--all", "all there are now")
    .addOption(source())
    .option("--dry-run", "only say what would be done")
    .option("--config <file>", "sources and rules (default: bridge.yaml here, if there is one)")
    .action(async (ids: string[], options: ReplayOptions) => {
      if (!(await runReplay(openContext(), ids, options))) process.exitCode = 1;
    });
  group.addHelpText(
    "after",
    "\nLines of JSON when the output is no terminal. Works beside a running bridge or millrace up.\nreplay exits with 1 when a letter stays because it is still no event.",
  );
  for (const command of [group, ...group.commands]) {
    helpSettings(command, [...STORE_SETTINGS, ...TELEMETRY_SETTINGS, ...SOURCE_SETTINGS]);
  }
}
