/** pino as our logger: JSON lines, or lines for people on a terminal. On stderr, so that stdout carries results alone. */
import { type DestinationStream, pino, stdTimeFunctions } from "pino";
import { PinoPretty } from "pino-pretty";
import type { Logger } from "../../core/logger.ts";
import { maskUrls } from "../../core/mask-urls.ts";
import type { Settings } from "../../core/settings.ts";

export interface LoggerOptions {
  /** Least level logged. */
  readonly level: Settings["LOG_LEVEL"];
  /** Where lines go. Default: stderr, made readable when that is a terminal. */
  readonly destination?: DestinationStream;
}

/** Lines are written before the call returns, so that none is lost when the process ends. */
export function createLogger({ level, destination = stderr() }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Messages hold no secrets; this is the net below, for what a client library says of its own accord.
      hooks: { streamWrite: maskUrls },
    },
    destination,
  );
}

function stderr(): DestinationStream {
  return process.stderr.isTTY
    ? PinoPretty({ destination: 2, sync: true, translateTime: "SYS:HH:MM:ss", ignore: "pid,hostname" })
    : pino.destination({ dest: 2, sync: true });
}
