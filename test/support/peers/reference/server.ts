/**
 * A small server of the whole HTTP contract, written apart from Millrace, to test the conformance kit with: without a defect
 * it passes every check; each defect breaks one rule. A client is a position in its company's list, so nothing is lost or
 * repeated unless a defect makes it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer } from "ws";
import type { Publisher } from "../../../../bin/conformance/publishers.ts";
import { createAccess } from "./access.ts";
import type { Defect } from "./defects.ts";
import { createGuard } from "./guard.ts";
import { createReferenceHub } from "./hub.ts";
import { BEFORE_FIRST, createReferenceLog, LATEST } from "./log.ts";

export interface ReferenceOptions {
  readonly defect?: Defect;
  readonly heartbeatMs?: number;
  /** Token, in the form of a JWT, to the company it may read; more may be added. Empty: no authentication. */
  readonly tokens?: Record<string, string>;
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
  const access = createAccess(defect, (token) => Object.hasOwn(tokens, token));
  const pass = createGuard(defect, tokens, log, access);
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

  const stream = async (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    const passed = pass(request, response, query);
    if (passed === undefined) return;
    if (disabled) {
      if (!request.headers.accept?.includes("text/event-stream"))
        return response.writeHead(503, { "retry-after": "5", "content-type": "application/json" }).end("{}");
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end('retry: 5000\n\nevent: disabled\ndata: {"reason":"disabled"}\n\n');
    }
    const channel = await hub.open(request, response, query, passed.headers);
    if (channel !== undefined && passed.token !== undefined) access.watch(channel, passed.token);
  };

  const upgrade = async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const query = new URL(request.url ?? "/", "http://localhost").searchParams;
    // A refusal is an ordinary answer.
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once("finish", () => socket.end());
    const refuse = (status: number) =>
      response
        .writeHead(status, { "content-type": "application/json", "retry-after": "5" })
        .end('{"error":"refused","message":"refused"}');
    const { origin, host } = request.headers;
    if (origin !== undefined && origin !== `http://${host}` && defect !== "socket-any-origin")
      return refuse(403);
    const passed = pass(request, response, query);
    if (passed === undefined) return;
    if (disabled) return refuse(503);
    response.detachSocket(socket);
    webSockets.once("headers", (lines) => {
      for (const [name, value] of Object.entries(passed.headers)) lines.push(`${name}: ${value}`);
    });
    webSockets.handleUpgrade(request, socket, head, async (webSocket) => {
      if (request.url?.startsWith("/ws/dashboard")) {
        const stop = follow(query, dashboard, (text) => webSocket.send(text));
        webSocket.once("close", stop);
        return;
      }
      const channel = await hub.openSocket(webSocket, request, query);
      if (passed.token !== undefined) access.watch(channel, passed.token);
    });
  };

  const history = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    if (pass(request, response, query) === undefined) return;
    const list = log.of(query.get("companyId") ?? "");
    const after = query.get("after");
    if (after === LATEST) {
      const end = list.at(defect === "latest-is-behind" ? -2 : -1)?.id ?? BEFORE_FIRST;
      return json(response, { events: [], next: log.shown(end), more: false });
    }
    const from = list.findIndex(({ id }) => id === log.read(after ?? "")) + 1;
    const page = list.slice(from, from + Number(query.get("limit") ?? 100));
    const events = page
      .filter((_, index) => defect !== "history-skips" || index !== 2)
      .map(({ id, event }) => ({ cursor: log.shown(id), ...event }));
    json(response, {
      events,
      next: page.at(-1)?.id ?? after,
      more: from + page.length < list.length,
    });
  };

  /** Sends what there is to say about a company at once, whenever it is another, and once a second. */
  const follow = (query: URLSearchParams, say: (company: string) => object, send: (text: string) => void) => {
    let last = { text: "", atMs: 0 };
    const look = () => {
      const [text, atMs] = [JSON.stringify(say(query.get("companyId") ?? "")), Date.now()];
      if (text === last.text && atMs - last.atMs < 1000) return;
      send(text);
      last = { text, atMs };
    };
    look();
    const timer = setInterval(look, 20);
    return () => clearInterval(timer);
  };
  const totals = (company: string) => counts(log.of(company), ({ type }) => type);
  const dashboard = (companyId: string) => ({
    companyId,
    counters: Object.fromEntries(
      Object.entries(totals(companyId)).map(([type, count]) => {
        const total = defect === "counts-twice" ? 2 * count : count;
        return [type, { total, today: total, minutes: Array.from({ length: 60 }, () => 0) }];
      }),
    ),
  });
  const feed = (company: string) => {
    const fed = log.of(company).filter(({ type }) => type === "audit.txn");
    const recent = fed.slice(-10).map(({ data }) => JSON.parse(data) as unknown);
    return { AUDIT_TXN: { total: fed.length, rate: 0, recent } };
  };
  const snapshots = (request: IncomingMessage, response: ServerResponse, { pathname, searchParams }: URL) => {
    if (pass(request, response, searchParams) === undefined) return;
    if (pathname === "/api/metrics") return json(response, feed(searchParams.get("companyId") ?? ""));
    response.writeHead(200, { "content-type": "text/event-stream" });
    const [say, name] = pathname === "/sse" ? [feed, ""] : [dashboard, "event: dashboard\n"];
    response.once(
      "close",
      follow(searchParams, say, (text) => void response.write(`${name}data: ${text}\n\n`)),
    );
    return response;
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
    if (request.method === "POST" && access.post(url.pathname, request, response)) return;
    if (request.method !== "GET" && !isHangingHead) response.writeHead(405, { allow: "GET" }).end();
    else if (url.pathname === "/ws/updates") response.writeHead(426, { upgrade: "websocket" }).end();
    else if (url.pathname === "/stream/updates") void stream(request, response, url.searchParams);
    else if (["/sse", "/api/metrics", "/stream/dashboard"].includes(url.pathname))
      snapshots(request, response, url);
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
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket as Socket, head));
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
      for (const client of hub.clients) client.channel.destroy();
      await once(server, "close");
    },
  };
}
