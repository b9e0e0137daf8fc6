/** GET /health and /healthz as JSON; everything else is 404. */
import { createServer, type Server } from "node:http";

/** @param read What to answer, read at each request. */
export function createHealthServer(read: () => object): Server {
  return createServer((request, response) => {
    request.resume();
    const path = request.url?.split("?", 1)[0];
    const found = request.method === "GET" && (path === "/health" || path === "/healthz");
    const body = found
      ? { status: "ok", ...read() }
      : { error: "Not Found", message: "expected GET /health" };
    response.writeHead(found ? 200 : 404, {
      "content-type": "application/json",
      "cache-control": "no-store",
    });
    response.end(`${JSON.stringify(body)}\n`);
  });
}
