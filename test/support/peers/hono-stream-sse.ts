/**
 * Peer: a plain Hono app with `streamSSE`, as the Hono documentation shows it and a developer would write it: a set of clients
 * a company, each event written to each of them. Environment: PORT; REPLAY (default 0) keeps that many events a company and sends
 * those after `Last-Event-ID` first.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { type SSEMessage, type SSEStreamingApi, streamSSE } from "hono/streaming";

const keepEvents = Number(process.env.REPLAY ?? 0);
const clients = new Map<string, Set<SSEStreamingApi>>();
const history = new Map<string, SSEMessage[]>();
let lastId = 0;

const app = new Hono();

app.get("/sse", (c) => {
  const company = c.req.query("companyId") ?? "";
  const after = c.req.header("last-event-id") ?? c.req.query("lastEventId");
  return streamSSE(c, async (stream) => {
    const group = clients.get(company) ?? new Set();
    clients.set(company, group);
    if (after && keepEvents > 0) {
      for (const message of (history.get(company) ?? []).filter(({ id }) => Number(id) > Number(after))) {
        await stream.writeSSE(message);
      }
    }
    group.add(stream);
    await new Promise<void>((resolve) => stream.onAbort(resolve));
    group.delete(stream);
  });
});

app.post("/publish", async (c) => {
  const company = c.req.query("companyId") ?? "";
  const message = {
    id: String(++lastId),
    event: c.req.query("type") ?? "message",
    data: await c.req.text(),
  };
  if (keepEvents > 0) {
    const kept = history.get(company) ?? [];
    history.set(company, kept);
    kept.push(message);
    if (kept.length > keepEvents) kept.shift();
  }
  for (const stream of clients.get(company) ?? []) void stream.writeSSE(message);
  return c.body(null, 204);
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT ?? 0) }, ({ port }) =>
  console.log(`ready http://127.0.0.1:${port}`),
);
