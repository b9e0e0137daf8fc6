/**
 * `millrace/services`: a service says how it is, in a few lines. What it says goes to the channels of Redis on which services tell how they
 * are known: its status to `service:all`, its log lines to `logs:all` and `logs:<name>`. The rest of Millrace takes it from there to live
 * pages; this file needs none of it.
 */
import { randomUUID } from "node:crypto";
import { MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import { type LogLevel, parseLogLine } from "../../functions/core/log-line.ts";
import { toServiceName } from "../../functions/core/service-name.ts";
import { createTokenBucket } from "../../functions/core/token-bucket.ts";
import { createLogger } from "../../functions/runtimes/node/logger.ts";
import { reasonOf, toJson, toText } from "./json.ts";
import type { LogFields, ServiceMonitor, ServiceMonitorOptions, StatusUpdate } from "./options.ts";
import { createPresent } from "./present.ts";
import { openOwnRedis } from "./redis-url.ts";
import { createSender } from "./sender.ts";

export { MillraceError } from "../../functions/core/errors.ts";
export type { Logger } from "../../functions/core/logger.ts";
export type {
  LogFields,
  RedisPublisher,
  ServiceLog,
  ServiceMonitor,
  ServiceMonitorHealth,
  ServiceMonitorOptions,
  ServiceState,
  StatusUpdate,
} from "./options.ts";

/** Milliseconds between two statuses: progress may be told for every item. */
const STATUS_MS = 200;
/** Members of a status that are ours to say, and `companyId`: services are no tenant's. */
const RESERVED = new Set(["service", "interval", "ts", "messageId", "companyId"]);
/** Milliseconds between two lines that say how many were left out. */
const LEFT_OUT_MS = 1_000;
/** Seconds of its limit a service may log at once. */
const BURST_SECONDS = 5;
/** How long `close` takes at most by default, in milliseconds. */
const CLOSE_MS = 2_000;

/**
 * Says `idle` at once, and how it is from then on until it is closed. It keeps no process alive.
 * @throws MillraceError `invalid-input` for options that cannot be.
 */
export function createServiceMonitor(options: ServiceMonitorOptions): ServiceMonitor {
  const { redis, name, intervalSeconds = 15, maxLinesPerSecond = 200 } = options;
  checkOptions({ ...options, intervalSeconds, maxLinesPerSecond });
  const own = typeof redis === "string" ? openOwnRedis(redis) : undefined;
  const bucket = createTokenBucket({
    perSecond: maxLinesPerSecond,
    burst: maxLinesPerSecond * BURST_SECONDS,
  });
  const sender = createSender({
    publisher: own ?? (redis as Exclude<typeof redis, string>),
    name,
    logger: options.logger ?? createLogger({ level: "info" }),
    onLost(lines) {
      leftOutLines += lines;
      sendLine("warn", `${linesOf(lines)} left out: Redis was away`);
    },
  });
  /** Tells messages apart that are alike: the bridge stores what has the same id once. */
  const instance = randomUUID().slice(0, 8);
  let sequence = 0;
  const present = createPresent(RESERVED);
  present.change({ state: "idle" });
  let hasSaidMembers = false;
  let runs = 0;
  let sentAtMs = Number.NEGATIVE_INFINITY;
  let due: NodeJS.Timeout | undefined;
  let overLimit = 0;
  let leftOutLines = 0;
  let closing: Promise<void> | undefined;

  const nextId = () => `${instance}-${++sequence}`;
  const sendStatus = () => {
    clearTimeout(due);
    due = undefined;
    sentAtMs = performance.now();
    heartbeat.refresh();
    const ts = new Date().toISOString();
    const known = { service: name, interval: intervalSeconds, ts, messageId: nextId() };
    const more = present.text();
    sender.sendStatus(`${JSON.stringify(known).slice(0, -1)}${more && ","}${more}}`);
  };
  const change = (update: StatusUpdate) => {
    if (closing) return;
    if (present.change(update) > 0 && !hasSaidMembers) {
      hasSaidMembers = true;
      sendLine("warn", "Status members left out: over 100, or a name over 64 characters");
    }
    const waitMs = sentAtMs + STATUS_MS - performance.now();
    if (waitMs <= 0) sendStatus();
    else due ??= setTimeout(sendStatus, waitMs).unref();
  };
  const heartbeat = setInterval(() => sendStatus(), intervalSeconds * 1000).unref();

  const sendLine = (level: LogLevel, message: string, fields?: LogFields) => {
    const ts = new Date().toISOString();
    const line = parseLogLine({ ts, level, service: name, message: toText(message) });
    const more = fields === undefined ? "" : `,"fields":${toJson(fields)}`;
    sender.sendLine(`${JSON.stringify({ ...line, messageId: nextId() }).slice(0, -1)}${more}}`);
  };
  const log = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (closing) return;
    if (bucket.take()) return sendLine(level, message, fields);
    overLimit++;
    leftOutLines++;
  };
  const sayLeftOut = () => {
    if (overLimit === 0) return;
    const lines = overLimit;
    overLimit = 0;
    sendLine("warn", `${linesOf(lines)} left out: over ${maxLinesPerSecond} a second`);
  };
  const leavingOut = setInterval(sayLeftOut, LEFT_OUT_MS).unref();
  const logs = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };

  const close = async (timeoutMs: number) => {
    clearInterval(heartbeat);
    clearInterval(leavingOut);
    sayLeftOut();
    present.change({ state: "stopped" });
    sendStatus();
    clearInterval(heartbeat);
    await sender.close(timeoutMs);
    own?.close();
  };

  sendStatus();
  return {
    status: change,
    progress: (done, total) => change({ progress: { done, total } }),
    async run(fn) {
      const startMs = performance.now();
      runs++;
      change({ state: "running", lastRun: new Date().toISOString(), progress: undefined });
      const end = (state: "idle" | "failed") => {
        const durationMs = Math.round(performance.now() - startMs);
        change(--runs > 0 ? { durationMs } : { state, durationMs });
        return durationMs;
      };
      try {
        const result = await fn();
        end("idle");
        return result;
      } catch (error) {
        logs.error(`Run failed after ${end("failed")} ms: ${reasonOf(error)}`);
        throw error;
      }
    },
    log: logs,
    health() {
      const { isUp, heldLines, lastError } = sender.health();
      const reached = isUp === undefined ? "starting" : isUp ? "up" : "down";
      return { status: closing ? "closed" : reached, heldLines, leftOutLines, lastError };
    },
    close({ timeoutMs = CLOSE_MS } = {}) {
      closing ??= close(timeoutMs);
      return closing;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}

function linesOf(lines: number): string {
  return lines === 1 ? "1 line" : `${lines} lines`;
}

function checkOptions({ redis, name, intervalSeconds, maxLinesPerSecond }: ServiceMonitorOptions): void {
  if (typeof redis === "string") {
    const protocol = URL.canParse(redis) ? new URL(redis).protocol : "";
    // Not shown: it holds a password.
    if (protocol !== "redis:" && protocol !== "rediss:") {
      throw invalid("redis", "no such URL", "redis:// or rediss://, or a client");
    }
  } else if (typeof redis?.publish !== "function") {
    throw invalid("redis", "nothing with a method publish", "a client of node-redis or ioredis, or a URL");
  }
  if (toServiceName(name) !== name || name === "all") {
    throw invalid("name", quote(String(name)), "1-64 characters of A-Z a-z 0-9 . _ -, and not all");
  }
  const isWithin = (value: unknown, max: number) => typeof value === "number" && value >= 1 && value <= max;
  if (!isWithin(intervalSeconds, 86_400)) {
    throw invalid("intervalSeconds", String(intervalSeconds), "seconds from 1 to 86400");
  }
  if (!isWithin(maxLinesPerSecond, 1_000_000)) {
    throw invalid("maxLinesPerSecond", String(maxLinesPerSecond), "lines from 1 to 1000000");
  }
}

function invalid(name: string, was: string, expected: string): MillraceError {
  return new MillraceError(
    "invalid-input",
    `Cannot create a service monitor: ${name}: ${was}, expected ${expected}`,
  );
}
