/**
 * Peer: better-sse, a session a client and a channel a company, over node:http. The library keeps no history: REPLAY (default
 * 0) keeps that many events a company and pushes those after `session.lastId` first, the way its documentation suggests.
 * Environment: PORT, REPLAY.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import { type Channel, createChannel, createSession } from "better-sse";

const keepEvents = Number(process.env.REPLAY ?? 0);
const channels = new Map<string, Channel>();
const history = new Map<string, { id: number; type: string; data: unknown }[]>();
let lastId = 0;

function channelOf(company: string): Channel {
  const channel = channels.get(company) ?? createChannel();
  channels.set(company, channel);
  return channel;
}

async function subscribe(company: string, url: URL, request: IncomingMessage, response: ServerResponse) {
  const session = await createSession(request, response);
  const after = Number(session.lastId || url.searchParams.get("lastEventId") || Number.NaN);
  for (const { id, type, data } of history.get(company) ?? []) {
    if (id > after) session.push(data, type, String(id));
  }
  channelOf(company).register(session);
}

async function publish(company: string, url: URL, request: IncomingMessage, response: ServerResponse) {
  const type = url.searchParams.get("type") ?? "message";
  const event = { id: ++lastId, type, data: await json(request) };
  if (keepEvents > 0) {
    const kept = history.get(company) ?? [];
    history.set(company, kept);
    kept.push(event);
    if (kept.length > keepEvents) kept.shift();
  }
  channelOf(company).broadcast(event.data, event.type, { eventId: String(event.id) });
  response.writeHead(204).end();
}

const routes = new Map([
  ["GET /sse", subscribe],
  ["POST /publish", publish],
]);

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  const route = routes.get(`${request.method} ${url.pathname}`);
  try {
    if (route) await route(url.searchParams.get("companyId") ?? "", url, request, response);
    else response.writeHead(404).end();
  } catch {
    response.writeHead(400).end();
  }
});

server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  const address = server.address();
  if (address && typeof address === "object") console.log(`ready http://127.0.0.1:${address.port}`);
});
