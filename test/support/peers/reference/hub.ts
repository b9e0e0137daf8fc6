/** The reference server's clients: each a position in its company's list. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { WebSocket } from "ws";
import type { Outgoing } from "../../../../bin/conformance/publishers.ts";
import { type Channel, responseChannel, socketChannel } from "./channel.ts";
import type { Defect } from "./defects.ts";
import { BEFORE_FIRST, type Entry, type ReferenceLog } from "./log.ts";

interface Client {
  readonly company: string;
  readonly channel: Channel;
  readonly write: (text: string) => boolean;
  readonly types: ReadonlySet<string> | undefined;
  readonly wholeEvents: boolean;
  readonly dropsOldest: boolean;
  position: number;
  blocked: boolean;
}

export function createReferenceHub(defect: Defect | undefined, log: ReferenceLog) {
  const clients = new Set<Client>();

  const frame = ({ id, type, data, event }: Entry, client: Client): string => {
    let text = client.wholeEvents ? JSON.stringify(event) : data;
    if (defect === "utf8-cut") text = text.replace("日", "\ud83d");
    return `event: ${type}\n${defect === "ids-missing" ? "" : `id: ${log.shown(id)}\n`}data: ${text}\n\n`;
  };

  /** Writes what the client has not had, until it takes no more. */
  const serve = (client: Client) => {
    if (defect === "blocks-on-slow-client" && [...clients].some((other) => other.blocked)) return;
    const list = log.of(client.company);
    if (client.dropsOldest && list.length - client.position > 100) {
      const requested = list[client.position - 1]?.id ?? BEFORE_FIRST;
      client.position = list.length - 100;
      const resumedAt = list[client.position]!.id;
      client.write(
        `event: gap\nid: ${list[client.position - 1]!.id}\ndata: ${JSON.stringify({ reason: "dropped", requested, resumedAt })}\n\n`,
      );
    }
    let skipped = "";
    while (!client.blocked && client.position < list.length) {
      const entry = list[client.position++]!;
      if (client.types && !client.types.has(entry.type) && defect !== "type-filter-ignored")
        skipped = entry.id;
      else {
        skipped = "";
        client.blocked = !client.write(frame(entry, client));
      }
    }
    if (skipped && defect !== "skipped-do-not-move-cursor") client.write(`id: ${log.shown(skipped)}\n\n`);
    if (client.blocked && defect === "cuts-slow-client") {
      const { position } = client;
      setTimeout(() => client.blocked && client.position === position && client.channel.destroy(), 30);
    }
  };

  const serveAll = () => {
    for (const client of clients) if (!client.blocked) serve(client);
  };

  /** Puts the client where its cursor says and begins to serve it. */
  const join = async (client: Client, header: string | string[] | undefined, inQuery: string | null) => {
    const list = log.of(client.company);
    const cursor = String(
      (defect === "header-loses-to-query" ? (inQuery ?? header) : (header ?? inQuery)) ?? "",
    );
    const known = list.findIndex(({ id }) => id === log.read(cursor));
    if (cursor === "" || cursor === BEFORE_FIRST) client.position = cursor === "" ? list.length : 0;
    else if (known >= 0) client.position = known + (defect === "repeats-last-event" ? 0 : 1);
    else if (defect === "gap-never-said") client.position = list.length;
    else {
      const resumedAt = log.shown(list[0]?.id ?? BEFORE_FIRST);
      client.write(
        `event: gap\nid: ${BEFORE_FIRST}\ndata: ${JSON.stringify({ reason: "reset", requested: cursor, resumedAt })}\n\n`,
      );
    }
    if (known >= 0 && defect === "leaks-replay") {
      const others = log.all().filter((entry) => entry.company !== client.company);
      for (const entry of others) client.write(frame(entry, client));
    }
    if (known >= 0 && defect === "replay-out-of-order") {
      for (const entry of list.slice(client.position).reverse()) client.write(frame(entry, client));
      client.position = list.length;
    }
    if (known >= 0 && defect === "drops-at-seam") {
      serve(client);
      await new Promise((resolve) => setTimeout(resolve, 30));
      client.position = list.length;
    }
    clients.add(client);
    serve(client);
  };

  const publish = async (company: string, events: readonly Outgoing[]) => {
    for (const entry of log.append(company, events)) {
      if (defect !== "leaks-live" && defect !== "socket-leaks") continue;
      for (const client of clients) {
        const isMeant = defect === "leaks-live" || client.channel.isSocket;
        if (client.company !== company && isMeant) client.write(frame(entry, client));
      }
    }
    serveAll();
  };

  /** Answers with a stream, and these headers. */
  const open = async (
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
    headers: Record<string, string>,
  ): Promise<Channel | undefined> => {
    const accepts = request.headers["accept-encoding"] ?? "";
    const isZipped =
      (defect === "compresses-unasked" && accepts === "identity") ||
      (defect === "compresses-declined" && accepts.startsWith("gzip;q=0")) ||
      (defect === "unflushed-compression" && accepts.includes("gzip") && !accepts.includes("gzip;q=0"));
    const { origin } = request.headers;
    response.writeHead(200, {
      "content-type": defect === "wrong-content-type" ? "text/plain" : "text/event-stream",
      "cache-control": "private, no-cache, no-store, no-transform",
      "x-accel-buffering": "no",
      ...(isZipped ? { "content-encoding": "gzip", vary: "accept-encoding" } : {}),
      ...(defect === "allows-any-origin" && origin
        ? { "access-control-allow-origin": origin, "access-control-allow-credentials": "true" }
        : {}),
      ...headers,
    });
    response.flushHeaders();
    if (request.method === "HEAD") return undefined;
    const channel = responseChannel(response, { isZipped, defect });
    await serveOn(channel, query, request.headers["last-event-id"]);
    return channel;
  };

  /** The same over a WebSocket. */
  const openSocket = async (socket: WebSocket, request: IncomingMessage, query: URLSearchParams) => {
    const channel = socketChannel(socket, defect);
    if (defect === "socket-ignores-cursor") query.delete("lastEventId");
    const header = defect === "socket-ignores-cursor" ? undefined : request.headers["last-event-id"];
    await serveOn(channel, query, header);
    return channel;
  };

  const serveOn = async (channel: Channel, query: URLSearchParams, header: string | string[] | undefined) => {
    const client: Client = {
      company: query.get("companyId") ?? "",
      channel,
      write: channel.write,
      types: query.has("types") ? new Set(query.get("types")?.split(",")) : undefined,
      wholeEvents: query.get("format") === "cloudevents",
      dropsOldest: query.get("overflow") === "drop-oldest",
      position: 0,
      blocked: false,
    };
    if (defect !== "retry-missing") client.write("retry: 3000\n\n");
    else client.write(": hello\n\n");
    channel.onDrain(() => {
      client.blocked = false;
      if (clients.has(client)) serve(client);
      serveAll();
    });
    if (defect !== "forgets-clients-never") channel.onClose(() => clients.delete(client));
    await join(client, header, query.get("lastEventId"));
  };

  const beat = () => {
    for (const client of clients) if (!client.blocked) client.write(":heartbeat\n\n");
  };

  return { clients, publish, open, openSocket, beat };
}
