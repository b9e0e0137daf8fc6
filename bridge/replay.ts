/**
 * Dead letters once more: decoded by the rules their source has now, readings written to the telemetry store, appended to the log, and
 * removed only then. An event has the id it would have had, so a letter that is replayed twice, or whose message came again since, is stored
 * once. It takes its place at the end of the log: what was published behind it is before it there.
 */

import type { MillraceEvent } from "../functions/core/event.ts";
import { quote } from "../functions/core/ids.ts";
import type { Reading } from "../functions/core/reading.ts";
import type { DeadLetters, StoredDeadLetter } from "../functions/ports/dead-letters.ts";
import type { EventLog } from "../functions/ports/event-log.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";
import type { BridgeConfig } from "./config/config.ts";
import { createSourceDecode } from "./registry.ts";

export interface ReplayOptions {
  /** As the bridge has it; a source that is off has its rules too. */
  readonly config: BridgeConfig;
  readonly log: Pick<EventLog, "append">;
  readonly telemetry: Pick<TelemetryStore, "write">;
  readonly deadLetters: Pick<DeadLetters, "remove">;
  /** Says what would happen: nothing is appended and nothing removed. Default false. */
  readonly isDryRun?: boolean;
}

/** What became of one letter. */
export type Replayed = { readonly letter: StoredDeadLetter } & (
  | {
      /** `duplicate`: the log had it. `decodable`: a dry run cannot know whether it has. The letter is gone but for a dry run. */
      readonly outcome: "stored" | "duplicate" | "decodable";
      readonly event: MillraceEvent;
    }
  /** It is still no event. The letter stays. */
  | { readonly outcome: "kept"; readonly reason: string }
);

/**
 * One result a letter, in their order.
 * @throws MillraceError `unavailable` when the store does not answer; the letters are there then, and may be replayed again.
 */
export async function replay(
  letters: readonly StoredDeadLetter[],
  { config, log, telemetry, deadLetters, isDryRun = false }: ReplayOptions,
): Promise<Replayed[]> {
  const decoded = letters.map((letter) => decodeLetter(letter, config));
  const results = decoded.map(({ result }) => result);
  if (isDryRun) return results;
  const readings = decoded.flatMap(({ reading }) => reading ?? []);
  // Before the events: who is told of a reading can ask for it.
  if (readings.length > 0) await telemetry.write(readings);
  const decodable = results.filter((result) => result.outcome !== "kept");
  const appended = await log.append(decodable.map(({ event }) => event));
  await deadLetters.remove(decodable.map(({ letter }) => letter.id));
  const isNew = new Map(decodable.map(({ letter }, at) => [letter.id, appended[at]!.isNew]));
  return results.map((result) =>
    result.outcome === "kept"
      ? result
      : { ...result, outcome: isNew.get(result.letter.id) ? "stored" : "duplicate" },
  );
}

function decodeLetter(
  letter: StoredDeadLetter,
  { sources }: BridgeConfig,
): { readonly result: Replayed; readonly reading?: Reading | undefined } {
  const source = sources.find(({ name }) => name === letter.source);
  if (!source) {
    const reason = `Cannot replay a message of source ${quote(letter.source)}: there is no such source, expected the settings and the bridge.yaml of the bridge that took it`;
    return { result: { letter, outcome: "kept", reason } };
  }
  const decode = createSourceDecode(source, letter);
  const { subject, headers, messageId } = letter;
  const decoded = decode({ subject, headers, body: bodyOf(letter), messageId });
  return "event" in decoded
    ? { result: { letter, outcome: "decodable", event: decoded.event }, reading: decoded.reading }
    : { result: { letter, outcome: "kept", reason: decoded.undecodable.reason } };
}

/** The message as it came. */
export function bodyOf({ bodyBase64 }: Pick<StoredDeadLetter, "bodyBase64">): Uint8Array {
  return Buffer.from(bodyBase64, "base64");
}
