/**
 * A program for Deno and Bun: the runtime's OpenWebSocket on a server of its own, driven over HTTP. `/ws/…` is asked as the app is; the rest
 * is commands. Prints `peer ready URL`.
 */
import { textMessage } from "../../functions/core/text-message.ts";
import type { OpenWebSocket, WebSocketSink } from "../../functions/ports/web-socket.ts";
import { recordingLogger } from "./logger.ts";

interface Accepted {
  readonly sink: WebSocketSink;
  gone: number;
  drains: number;
}

const heartbeatMs = Number(process.argv[2] ?? 60_000);
const accepted: Accepted[] = [];
const requests: { url: string; headers: Record<string, string> }[] = [];
let open: OpenWebSocket;
const logger = recordingLogger();

/** Says how often it is told, and of a second time too. */
function accept(request: Request, env: unknown): Response {
  const one: Accepted = { sink: undefined as unknown as WebSocketSink, gone: 0, drains: 0 };
  const { sink, response } = open({ raw: request, env }, { "set-cookie": "a=b; HttpOnly" }, () => {
    one.gone++;
  });
  Object.assign(one, { sink });
  sink.onDrain = () => {
    one.drains++;
  };
  accepted.push(one);
  return response;
}

async function answer(request: Request, env: unknown): Promise<Response> {
  const url = new URL(request.url);
  const { sink, ...at } = accepted[Number(url.searchParams.get("at") ?? 0)] ?? { sink: undefined };
  const text = url.searchParams.get("text") ?? "x".repeat(Number(url.searchParams.get("size") ?? 1));
  switch (url.pathname) {
    case "/state":
      return Response.json({ accepted: accepted.map(({ gone, drains }) => ({ gone, drains })), requests });
    case "/send":
      return Response.json({ writable: sink!.send(textMessage(text)), ...at });
    case "/fill": {
      let sent = 0;
      while (sink!.send(textMessage(text)) && sent < 500) sent++;
      return Response.json({ sent });
    }
    case "/close":
      sink!.close(Number(url.searchParams.get("code")), url.searchParams.get("reason") ?? "");
      return Response.json({});
    case "/ws/refused":
      return Response.json(
        { error: "Forbidden" },
        { status: 403, headers: { "x-reason": "because", "retry-after": "5" } },
      );
  }
  requests.push({ url: request.url, headers: Object.fromEntries(request.headers) });
  if (url.pathname === "/ws/slow") await new Promise((resolve) => setTimeout(resolve, 200));
  const response = accept(request, env);
  // As the hub does: before the handshake is out.
  if (url.pathname === "/ws/early") accepted.at(-1)!.sink.send(textMessage("early"));
  if (url.pathname === "/ws/brief") accepted.at(-1)!.sink.close(4401, "expired");
  return response;
}

const where = { host: "127.0.0.1", port: 0, logger };
if ("Deno" in globalThis) {
  const { createWebSockets } = await import("../../functions/runtimes/deno/web-sockets.ts");
  const { listen } = await import("../../functions/runtimes/deno/listen.ts");
  open = createWebSockets({ heartbeatMs }).open;
  console.log(
    `peer ready http://127.0.0.1:${listen({ ...where, fetch: (request) => answer(request, {}) }).port}`,
  );
} else {
  const { createWebSockets } = await import("../../functions/runtimes/bun/web-sockets.ts");
  const { listen } = await import("../../functions/runtimes/bun/listen.ts");
  const webSockets = createWebSockets({ heartbeatMs });
  open = webSockets.open;
  console.log(`peer ready http://127.0.0.1:${listen({ ...where, fetch: answer, webSockets }).port}`);
}
