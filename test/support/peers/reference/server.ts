/**
 * A small server of the whole HTTP contract, written apart from Millrace, to test the conformance kit with: without a defect
 * it passes every check; each defect breaks one rule. A client is a position in its company's list, so nothing is lost or
 * repeated unless a defect makes it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Publisher } from "../../../../bin/conformance/publishers.ts";
import type { Defect } from "./defects.ts";
import { createGuard } from "./guard.ts";
import { createReferenceHub } from "./hub.ts";
import { createReferenceLog } from "./log.ts";

export interface ReferenceOptions {
  readonly defect?: Defect;
  readonly heartbeatMs?: number;
  /** Token to the company it may read. Empty: no authentication. */
  readonly tokens?: Readonly<Record<string, string>>;
  readonly disabled?: boolean;
}

export async function startReferenceServer({
  defect,
  heartbeatMs = 1_000,
  tokens = {},
  disabled = false,
}: ReferenceOptions = {}) {
  const log = createReferenceLog(defect);
  const hub = createReferenceHub(defect, log);
  const refused = createGuard(defect, tokens, log);

  const stream = async (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    if (refused(request, response, query)) return;
    if (disabled) {
      if (!request.headers.accept?.includes("text/event-stream"))
        return response.writeHead(503, { "retry-after": "5", "content-type": "application/json" }).end("{}");
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end('retry: 5000\n\nevent: disabled\ndata: {"reason":"disabled"}\n\n');
    }
    await hub.open(request, response, query);
  };

  const history = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    if (refused(request, response, query)) return;
    const list = log.of(query.get("companyId") ?? "");
    const from = list.findIndex(({ id }) => id === log.read(query.get("after") ?? "")) + 1;
    const page = list.slice(from, from + Number(query.get("limit") ?? 100));
    const events = page
      .filter((_, index) => defect !== "history-skips" || index !== 2)
      .map(({ id, event }) => ({ cursor: log.shown(id), ...event }));
    json(response, {
      events,
      next: page.at(-1)?.id ?? query.get("after"),
      more: from + page.length < list.length,
    });
  };

  const json = (response: ServerResponse, value: object) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  const counts = <T>(values: Iterable<T>, keyOf: (value: T) => string) => {
    const result: Record<string, number> = {};
    for (const value of values) result[keyOf(value)] = (result[keyOf(value)] ?? 0) + 1;
    return result;
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const byCompany = counts(hub.clients, ({ company }) => company);
    const timestamp = new Date().toISOString();
    const isHangingHead = defect === "head-hangs" && request.method === "HEAD";
    if (request.method !== "GET" && !isHangingHead) response.writeHead(405, { allow: "GET" }).end();
    else if (url.pathname === "/stream/updates") void stream(request, response, url.searchParams);
    else if (url.pathname === "/stream/history") history(request, response, url.searchParams);
    else if (url.pathname === "/stream/health") {
      const streaming = {
        enabled: !disabled,
        activeConnections: hub.clients.size,
        activeCompanies: Object.keys(byCompany).length,
      };
      json(response, { status: disabled ? "disabled" : "ok", streaming, timestamp });
    } else if (url.pathname === "/stream/stats") {
      const eventsByCompany = Object.fromEntries(
        [...log.lists].map(([company, list]) => [company, list.length]),
      );
      const totalEvents = log.all().length;
      json(response, {
        connections: {
          totalConnections: hub.clients.size,
          activeCompanies: Object.keys(byCompany).length,
          connectionsByCompany: byCompany,
        },
        replayCache: { companies: log.lists.size, totalEvents, eventsByCompany },
        timestamp,
      });
    } else if (url.pathname === "/healthz" || url.pathname === "/ready") response.writeHead(200).end("ok");
    else if (url.pathname === "/metrics")
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end("up 1\n");
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const heartbeat = setInterval(() => {
    if (defect !== "heartbeat-missing") hub.beat();
  }, heartbeatMs);

  const publisher: Publisher = {
    name: "in process",
    carriesText: false,
    carriesAnyAttribute: true,
    publish: hub.publish,
    close: async () => {},
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    publisher,
    heartbeatMs,
    async stop() {
      clearInterval(heartbeat);
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
