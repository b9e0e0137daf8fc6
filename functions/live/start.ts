/** The live side of one process, or of one Durable Object: what it takes to serve answers that stay open, and to end them well. */

import type { Deflate } from "../core/gzip.ts";
import type { Logger } from "../core/logger.ts";
import type { Settings } from "../core/settings.ts";
import { createCounters } from "../counters/counters.ts";
import { createHub } from "../hub/hub.ts";
import type { Counters } from "../ports/counters.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { OpenEventStream } from "../ports/event-stream.ts";
import type { Hub } from "../ports/hub.ts";
import type { InstanceRegistry } from "../ports/instance-registry.ts";
import type { Live } from "../ports/live.ts";
import type { ServiceBoard } from "../ports/service-board.ts";
import type { Sessions } from "../ports/sessions.ts";
import type { OpenWebSocket } from "../ports/web-socket.ts";
import { createBoard } from "../services/board.ts";
import { createLocalLive } from "./local.ts";
import { startReports } from "./report-connections.ts";

export type LiveSettings = Pick<
  Settings,
  | "HEARTBEAT_MS"
  | "IDLE_TIMEOUT_MS"
  | "MAX_CONNECTION_AGE_MS"
  | "MAX_CONNECTIONS_PER_COMPANY"
  | "CONNECTION_BUFFER_EVENTS"
  | "TODAY_TIMEZONE"
  | "DRAIN_MS"
  | "STREAM_COMPRESSION"
>;

/** Everything stays the caller's to close, after this. */
export interface StartLiveOptions {
  readonly settings: LiveSettings;
  readonly log: EventLog;
  readonly registry: InstanceRegistry;
  readonly sessions: Sessions;
  /** A random id, under which it reports its connections. */
  readonly instance: string;
  readonly openEventStream: OpenEventStream;
  readonly openWebSocket: OpenWebSocket;
  readonly deflate: Deflate;
  /** As of the hub. */
  readonly scheduleTurn?: (run: () => void) => void;
  readonly logger: Logger;
}

export interface RunningLive {
  readonly live: Live;
  readonly hub: Pick<Hub, "stats" | "backlog">;
  readonly counters: Pick<Counters, "stats">;
  readonly board: Pick<ServiceBoard, "stats">;
  /** Sends the clients away over DRAIN_MS; resolves when all are gone. */
  drain(): Promise<void>;
  /** Ends what is left. */
  stop(): Promise<void>;
}

export function startLive(options: StartLiveOptions): RunningLive {
  const { settings, log, registry, sessions, instance, scheduleTurn, logger } = options;
  const connections = {
    log,
    logger,
    heartbeatMs: settings.HEARTBEAT_MS,
    idleTimeoutMs: settings.IDLE_TIMEOUT_MS,
    maxConnectionAgeMs: settings.MAX_CONNECTION_AGE_MS,
    maxConnectionsPerCompany: settings.MAX_CONNECTIONS_PER_COMPANY,
  };
  const hub = createHub({
    ...connections,
    bufferEvents: settings.CONNECTION_BUFFER_EVENTS,
    ...(scheduleTurn ? { scheduleTurn } : {}),
  });
  const counters = createCounters({ ...connections, timeZone: settings.TODAY_TIMEZONE });
  const board = createBoard(connections);
  const { openEventStream, openWebSocket } = options;
  const deflate = settings.STREAM_COMPRESSION === "gzip" ? options.deflate : undefined;
  const live = createLocalLive({
    hub,
    counters,
    board,
    log,
    sessions,
    openEventStream,
    openWebSocket,
    deflate,
  });
  const reports = startReports({ live, registry, instance, logger });
  return {
    live,
    hub,
    counters,
    board,
    async drain() {
      await Promise.all([hub, counters, board].map((part) => part.drain(settings.DRAIN_MS)));
    },
    async stop() {
      counters[Symbol.dispose]();
      board[Symbol.dispose]();
      await reports.stop();
    },
  };
}
