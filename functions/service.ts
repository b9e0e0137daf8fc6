/** The whole of Millrace's HTTP side in one process: the front, and the live side behind it. Runtimes bring what they alone have. */
import { createGate } from "./access/gate.ts";
import { createRulesCopy } from "./access/rules-copy.ts";
import { createSessions } from "./access/sessions.ts";
import { type AppDeps, createApp } from "./app.ts";
import type { Deflate } from "./core/gzip.ts";
import type { Logger } from "./core/logger.ts";
import { countRefusals, type RefusalCounts } from "./core/refusal-counts.ts";
import type { Settings } from "./core/settings.ts";
import { type RunningLive, startLive } from "./live/start.ts";
import type { AccessRules } from "./ports/access-rules.ts";
import type { Authenticator } from "./ports/authenticator.ts";
import type { EventLog } from "./ports/event-log.ts";
import type { OpenEventStream } from "./ports/event-stream.ts";
import type { InstanceRegistry } from "./ports/instance-registry.ts";
import type { TelemetryStore } from "./ports/telemetry-store.ts";
import type { Tickets } from "./ports/tickets.ts";
import type { OpenWebSocket } from "./ports/web-socket.ts";
import type { SourceStatus } from "./routes/probes.ts";

/** What the store of the settings holds for the HTTP side. */
export interface ServiceStore {
  readonly log: EventLog;
  readonly registry: InstanceRegistry;
  readonly rules: AccessRules;
  readonly tickets: Tickets;
  readonly telemetry: TelemetryStore;
}

/** What counts here. */
export interface MetricsParts extends Pick<RunningLive, "hub" | "counters" | "board"> {
  /** Requests refused since the start. */
  readonly refusals: RefusalCounts;
}

/** Everything stays the caller's to close, after the service. */
export interface ServiceOptions {
  readonly settings: Settings;
  readonly store: ServiceStore;
  readonly authenticator: Authenticator;
  readonly openEventStream: OpenEventStream;
  readonly openWebSocket: OpenWebSocket;
  /** Used where STREAM_COMPRESSION says so. */
  readonly deflate: Deflate;
  /** As of the hub. */
  readonly scheduleTurn?: (run: () => void) => void;
  /** Makes the text of `/metrics` of what is counted here. */
  readonly createMetrics: (parts: MetricsParts) => AppDeps["metrics"];
  readonly pages: AppDeps["pages"];
  /** The sources of a bridge in this process, as of now. */
  readonly sources?: (() => readonly SourceStatus[]) | undefined;
  readonly logger: Logger;
}

export interface Service {
  /** A random id of this process, under which it reports to the registry. */
  readonly instance: string;
  /** Answers every request and never rejects. `env`: the runtime's bindings. */
  fetch(request: Request, env: unknown): Response | Promise<Response>;
  /** Sends the clients away over DRAIN_MS; resolves when all are gone. */
  drain(): Promise<void>;
  /** Ends what is left. */
  stop(): Promise<void>;
}

export function createService(options: ServiceOptions): Service {
  const { settings, store, authenticator, openEventStream, createMetrics, pages, sources, logger } = options;
  const instance = crypto.randomUUID();
  const copy = createRulesCopy({ rules: store.rules, logger });
  const sessions = createSessions({ copy, logger });
  const refusals = countRefusals();
  const { live, hub, counters, board, drain, stop } = startLive({ ...options, ...store, sessions, instance });
  const app = createApp({
    settings,
    ...store,
    live,
    instance,
    gate: createGate({ authenticator, copy, tickets: store.tickets }),
    openEventStream,
    metrics: createMetrics({ hub, counters, board, refusals: refusals.counts }),
    onRefused: refusals.add,
    sources,
    pages,
    logger,
  });
  return {
    instance,
    fetch: (request, env) => app.fetch(request, env as object),
    drain,
    async stop() {
      await stop();
      copy[Symbol.dispose]();
    },
  };
}
