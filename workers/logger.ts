/** Logger of a Worker: JSON lines on the console, of the same shape as everywhere else, which Workers Logs takes apart by itself. */
import type { Logger } from "../functions/core/logger.ts";
import { maskUrls } from "../functions/core/mask-urls.ts";
import type { Settings } from "../functions/core/settings.ts";

type Level = Settings["LOG_LEVEL"];

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

/** `level`: least level logged. `write`: where lines go. Default: the console, at the line's level. */
export function createConsoleLogger({
  level,
  write = (line, at) => console[at](line),
}: {
  readonly level: Level;
  readonly write?: (line: string, level: Level) => void;
}): Logger {
  const logAt = (at: Level) => {
    if (LEVELS.indexOf(at) < LEVELS.indexOf(level)) return () => {};
    return (fields: object, message: string) => {
      const line = JSON.stringify({ level: at, time: new Date().toISOString(), ...fields, msg: message });
      // Messages hold no secrets; this is the net below.
      write(maskUrls(line), at);
    };
  };
  return { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") };
}
