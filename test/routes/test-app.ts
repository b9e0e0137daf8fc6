/** The app on real parts: the hub on an embedded log of its own, tokens of a known secret, web streams. Asked in process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { createGate } from "../../functions/access/gate.ts";
import { createRulesCopy } from "../../functions/access/rules-copy.ts";
import { createSessions } from "../../functions/access/sessions.ts";
import { createJwtAuthenticator } from "../../functions/adapters/authenticator-jwt.ts";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { type AppDeps, createApp } from "../../functions/app.ts";
import { parseEvent } from "../../functions/core/event.ts";
import { parseReading, type ReadingLabels, TELEMETRY_TYPE } from "../../functions/core/reading.ts";
import { type CountersOptions, createCounters } from "../../functions/counters/counters.ts";
import { createHub, type HubOptions } from "../../functions/hub/hub.ts";
import { createLocalLive } from "../../functions/live/local.ts";
import type { Authenticator } from "../../functions/ports/authenticator.ts";
import type { OpenEventStream } from "../../functions/ports/event-stream.ts";
import type { OpenWebSocket } from "../../functions/ports/web-socket.ts";
import { createSqliteAccessRules } from "../../functions/runtimes/node/access-rules-sqlite.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { createSqliteInstanceRegistry } from "../../functions/runtimes/node/instance-registry-sqlite.ts";
import { createMetrics } from "../../functions/runtimes/node/metrics.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { createSqliteTickets } from "../../functions/runtimes/node/tickets-sqlite.ts";
import { createWebSockets } from "../../functions/runtimes/node/web-sockets.ts";
import { type BoardOptions, createBoard } from "../../functions/services/board.ts";
import { recordingLogger } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";

const SECRET = "a secret of the tests, of 32 characters or more";
/** Of the metrics API. */
export const AUTH_TOKEN = "the metrics token of the tests";
const OPEN_SETTINGS = {
  ...{ STREAMING_ENABLED: true, CORS_ORIGINS: [] as string[], AUTH_MODE: "jwt" as const },
  ...{ AUTH_TOKEN: AUTH_TOKEN as string | undefined, DEFAULT_PAGE_SIZE: 100 },
  ...{ HEARTBEAT_MS: 60_000, IDLE_TIMEOUT_MS: 60_000 },
};

/** A token of the test app's secret; for acme unless the claims say otherwise. */
export function token(claims: Record<string, unknown> = { companyId: "acme" }, exp: number | string = "5m") {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(exp)
    .sign(new TextEncoder().encode(SECRET));
}

export type TestApp = Awaited<ReturnType<typeof startTestApp>>;

/** `deps` replaces parts, `hub` options of the hub, `counters` of the counters, `maxEvents` what the log keeps a company. */
export async function startTestApp(
  options: {
    deps?: Partial<AppDeps>;
    settings?: Partial<AppDeps["settings"]>;
    hub?: Partial<HubOptions>;
    counters?: Partial<CountersOptions>;
    board?: Partial<BoardOptions>;
    authenticator?: Authenticator;
    openEventStream?: OpenEventStream;
    openWebSocket?: OpenWebSocket;
    maxEvents?: number;
  } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-routes-"));
  const logger = recordingLogger();
  const database = openSqliteDatabase({ folder, logger });
  const log = createSqliteLog({
    database,
    retentionMs: 3_600_000,
    timeZone: "UTC",
    logger,
    ...(options.maxEvents ? { maxEvents: options.maxEvents } : {}),
  });
  const hub = createHub({
    log,
    logger,
    heartbeatMs: 60_000,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    bufferEvents: 100,
    maxConnectionsPerCompany: 1_000,
    ...options.hub,
  });
  const counters = createCounters({
    log,
    logger,
    timeZone: "UTC",
    heartbeatMs: 60_000,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    maxConnectionsPerCompany: 1_000,
    everyMs: 20,
    ...options.counters,
  });
  const board = createBoard({
    ...{ log, logger, heartbeatMs: 60_000, idleTimeoutMs: 60_000, maxConnectionAgeMs: 0 },
    maxConnectionsPerCompany: 1_000,
    ...options.board,
  });
  const registry = createSqliteInstanceRegistry({ database });
  const [rules, tickets] = [createSqliteAccessRules({ database }), createSqliteTickets({ database })];
  const telemetry = createSqliteTelemetry({ folder });
  const copy = createRulesCopy({ rules, logger });
  const { authenticator = createJwtAuthenticator({ secret: SECRET }), openEventStream = openWebStream } =
    options;
  const live = createLocalLive({
    hub,
    counters,
    board,
    log,
    sessions: createSessions({ copy, logger }),
    openEventStream,
    openWebSocket: options.openWebSocket ?? createWebSockets({ heartbeatMs: 60_000, logger }).open,
  });
  const app = createApp({
    settings: { ...OPEN_SETTINGS, ...options.settings },
    log,
    live,
    registry,
    rules,
    tickets,
    telemetry,
    gate: createGate({ authenticator, copy, tickets }),
    instance: "this",
    openEventStream,
    metrics: createMetrics({ hub, log }),
    pages: new Map(),
    logger,
    ...options.deps,
  });
  const streams: ReadableStreamDefaultReader<Uint8Array>[] = [];
  const acme = await token();

  const ask = (path: string, init: RequestInit & { token?: string | null } = {}) => {
    const { token: given = acme, ...rest } = init;
    const headers = new Headers(rest.headers);
    if (given !== null) headers.set("authorization", `Bearer ${given}`);
    if (rest.body !== undefined && !headers.has("content-type"))
      headers.set("content-type", "application/json");
    return app.request(path, { ...rest, headers }) as Promise<Response>;
  };

  return {
    app,
    log,
    hub,
    counters,
    board,
    live,
    registry,
    rules,
    tickets,
    telemetry,
    /** Every line logged so far. */
    logged: (): { level: string; fields: Readonly<Record<string, unknown>> }[] => [...logger.lines],
    ask,
    /** Appends events to a company, ids counted from `from`. */
    async append(companyId: string, count: number, { from = 0, type = "metric_updated", data = "{}" } = {}) {
      const events = Array.from({ length: count }, (_, n) =>
        parseEvent({ companyId, source: "/test", id: String(from + n), type, dataText: data }),
      );
      return (await log.append(events)).map(({ cursor }) => cursor);
    },
    /** Writes `count` readings of a GPU, one a second, the values counted from 0. Gives them back in order. */
    async measure(
      count: number,
      {
        companyId = "acme",
        uuid = "GPU-1",
        metric_name = "DCGM_FI_DEV_GPU_UTIL",
        fromMs = Date.parse("2026-01-31T12:00:00Z"),
        labels = {} as Partial<ReadingLabels>,
      } = {},
    ) {
      const readings = Array.from({ length: count }, (_, n) =>
        parseReading(
          parseEvent({
            ...{ companyId, source: "/test", id: String(n), type: TELEMETRY_TYPE },
            dataText: JSON.stringify({
              ...{ ...labels, uuid, metric_name, value: n },
              timestamp: new Date(fromMs + n * 1000).toISOString(),
            }),
          }),
        ),
      );
      await telemetry.write(readings);
      return readings;
    },
    /** Asks for a stream and reads along. */
    async open(path: string, init: Parameters<typeof ask>[1] = {}) {
      const response = await ask(path, init);
      const reader = response.body!.getReader();
      streams.push(reader);
      const decoder = new TextDecoder();
      const stream = { response, text: "", ended: false, close: () => reader.cancel() };
      const read = async () => {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          stream.text += decoder.decode(value, { stream: true });
        }
        stream.ended = true;
      };
      void read();
      return {
        ...stream,
        text: () => stream.text,
        until: (what: string) => waitFor(`${what} on the stream`, () => stream.text.includes(what)),
        end: () => waitFor("the end of the stream", () => stream.ended),
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(streams.map((reader) => reader.cancel().catch(() => {})));
      await hub.drain(0);
      counters[Symbol.dispose]();
      board[Symbol.dispose]();
      copy[Symbol.dispose]();
      await telemetry[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
      database[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The JSON of an answer. */
export const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
