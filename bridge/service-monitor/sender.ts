/**
 * Publishes in the background: one batch after the other, the newest status first, then lines in their order. While Redis is away the status
 * is replaced by newer ones and lines wait, up to a bound; then the oldest go, counted. Nothing here keeps a process alive.
 */
import { backoffMs } from "../../functions/core/backoff.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { maskUrls } from "../../functions/core/mask-urls.ts";
import { reasonOf } from "./json.ts";
import type { RedisPublisher, ServiceMonitorHealth } from "./options.ts";

/** Lines that wait: five seconds of the default limit, and what the bridge takes at once. */
const MAX_HELD_LINES = 1_000;
/** Characters of them. */
const MAX_HELD_CHARS = 8 * 1024 * 1024;
/** Messages published before the first answer is waited for: all that a client library may have to hold of ours. */
const BATCH_MESSAGES = 100;
/** Milliseconds between two tries. */
const BACKOFF = { baseMs: 100, maxMs: 5_000 };

export interface SenderOptions {
  readonly publisher: RedisPublisher;
  readonly name: string;
  readonly logger: Logger;
  /** Redis answers, and so many lines were lost on the way since it was last called. */
  readonly onLost: (lines: number) => void;
}

export interface Sender {
  /** Takes the place of one that is not published yet. */
  sendStatus(text: string): void;
  sendLine(text: string): void;
  health(): Pick<ServiceMonitorHealth, "heldLines" | "lastError"> & { readonly isUp: boolean | undefined };
  /** Resolves when nothing is held any more, or after so many milliseconds; then nothing is sent. Never rejects. */
  close(timeoutMs: number): Promise<void>;
}

interface Message {
  readonly channels: readonly string[];
  readonly text: string;
  readonly isLine: boolean;
}

export function createSender({ publisher, name, logger, onLost }: SenderOptions): Sender {
  const statusChannels = ["service:all"];
  const lineChannels = ["logs:all", `logs:${name}`];
  let status: Message | undefined;
  let lines: Message[] = [];
  let heldChars = 0;
  let lost = 0;
  let isUp: boolean | undefined;
  let lastError: string | undefined;
  let isSending = false;
  let isClosed = false;
  let wake = () => {};
  let onEmpty = () => {};

  const shed = () => {
    let count = 0;
    while (lines.length - count > MAX_HELD_LINES || heldChars > MAX_HELD_CHARS) {
      heldChars -= lines[count++]!.text.length;
    }
    // Not one by one: that would move the rest every time.
    if (count > 0) lines = lines.slice(count);
    lost += count;
  };
  const hold = (batch: readonly Message[]) => {
    for (const message of batch) {
      if (!message.isLine) status ??= message;
    }
    const again = batch.filter(({ isLine }) => isLine);
    for (const { text } of again) heldChars += text.length;
    lines = [...again, ...lines];
    shed();
  };
  const take = (): Message[] => {
    const batch = status ? [status] : [];
    status = undefined;
    const taken = lines.splice(0, BATCH_MESSAGES - batch.length);
    for (const { text } of taken) heldChars -= text.length;
    return [...batch, ...taken];
  };

  /** What was not published, and why. */
  const publish = async (batch: readonly Message[]) => {
    let error: unknown;
    const results = batch.map(async ({ channels, text }) => {
      try {
        // One that throws must not leave the promise of another to itself.
        await Promise.all(channels.map(async (channel) => publisher.publish(channel, text)));
        return true;
      } catch (cause) {
        error ??= cause;
        return false;
      }
    });
    const isPublished = await Promise.all(results);
    return { failed: batch.filter((_, at) => !isPublished[at]), error };
  };

  /** The logger is the host's: that it throws, or rejects, is no reason to stop. */
  const tell = (level: "warn" | "info", fields: Readonly<Record<string, unknown>>, message: string) => {
    (async () => logger[level](fields, message))().catch(() => {});
  };
  const down = (error: unknown) => {
    const text = maskUrls(reasonOf(error));
    if (isUp !== false) tell("warn", { service: name, error: text }, "Service monitor cannot reach Redis");
    isUp = false;
    lastError = text;
  };
  const up = () => {
    if (isUp === false) tell("info", { service: name }, "Service monitor reaches Redis again");
    isUp = true;
    lastError = undefined;
    const count = lost;
    lost = 0;
    if (count > 0) onLost(count);
  };

  const run = async () => {
    if (isSending || isClosed) return;
    isSending = true;
    // The caller is not to wait for what a client does in the call itself.
    await undefined;
    let attempt = 0;
    while (!isClosed && (status || lines.length > 0)) {
      const { failed, error } = await publish(take());
      if (failed.length > 0) {
        hold(failed);
        down(error);
        await rest(backoffMs(attempt++, BACKOFF));
      } else {
        attempt = 0;
        up();
      }
    }
    isSending = false;
    onEmpty();
  };
  const rest = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  return {
    sendStatus(text) {
      status = { channels: statusChannels, text, isLine: false };
      void run();
    },
    sendLine(text) {
      lines.push({ channels: lineChannels, text, isLine: true });
      heldChars += text.length;
      shed();
      void run();
    },
    health: () => ({ isUp, heldLines: lines.length, lastError }),
    async close(timeoutMs) {
      wake();
      if (isSending) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          onEmpty = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isClosed = true;
      wake();
    },
  };
}
