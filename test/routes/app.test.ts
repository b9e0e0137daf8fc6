/** createApp behind a real HTTP server: what only bytes on a wire can bring. */
import { once } from "node:events";
import type { Server } from "node:http";
import { connect } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { afterEach, describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { waitFor } from "../support/wait.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

let stack: AsyncDisposableStack | undefined;
async function start(): Promise<TestApp & { port: number }> {
  stack = new AsyncDisposableStack();
  const app = stack.use(
    await startTestApp({
      deps: {
        pages: new Map([["/", { contentType: "text/html", body: new Uint8Array(1), immutable: false }]]),
      },
    }),
  );
  const server = createAdaptorServer({ fetch: app.app.fetch }) as Server;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { ...app, port: (server.address() as { port: number }).port };
}
afterEach(() => stack?.disposeAsync());

/** Sends bytes as they are and returns the status line of the answer. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    text += chunk;
  });
  socket.write(bytes, "latin1");
  await waitFor("a status line", () => text.includes("\r\n"));
  socket.destroy();
  return text.slice(0, text.indexOf("\r\n"));
}

describe("AUTH_MODE=none", () => {
  it.each([
    ["127.0.0.1:8787", 200],
    ["localhost:8787", 200],
    ["[::1]:8787", 200],
    ["evil.example:8787", 403],
    ["127.0.0.1.evil.example", 403],
    ["10.0.0.7", 403],
  ])(
    "answers to the host %s with %s: a page whose name leads here is not of this machine",
    async (host, status) => {
      await using test = await startTestApp({
        settings: { AUTH_MODE: "none" },
        authenticator: createNoAuthenticator(),
      });
      for (const path of ["/stream/stats", "/stream/history?companyId=acme", "/healthz"]) {
        const response = await test.app.request(`http://${host}${path}`);
        expect([path, response.status]).toEqual([path, status]);
      }
    },
  );
});

describe("createApp", () => {
  it("answers unknown routes in JSON", async () => {
    const { ask } = await start();
    const response = await ask("/no%0athing");
    expect(response.status).toBe(404);
    expect((await json(response)).error).toBe("Not Found");
  });

  it.each(["/", "/healthz", "/metrics", "/stream/stats"])(
    "answers other methods on %s with 405",
    async (path) => {
      const { ask } = await start();
      const response = await ask(path, { method: "DELETE" });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    },
  );

  it("survives what no client should send, and answers the next request", async () => {
    const { port } = await start();
    const authorization = `Authorization: Bearer ${await token()}\r\n`;
    const get = (target: string, headers = "") =>
      send(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n${authorization}${headers}\r\n`);
    const URL_ACME = "/stream/updates?companyId=acme";
    expect(await get(`${URL_ACME}&x=${"x".repeat(20_000)}`)).toBe(
      "HTTP/1.1 431 Request Header Fields Too Large",
    );
    expect(await get(URL_ACME, `Last-Event-ID: ${"x".repeat(20_000)}\r\n`)).toBe(
      "HTTP/1.1 431 Request Header Fields Too Large",
    );
    expect(await get(URL_ACME, `Last-Event-ID: ${"x".repeat(10_000)}\r\n`)).toBe("HTTP/1.1 400 Bad Request");
    expect(await get(URL_ACME, "Last-Event-ID: a\u0001\u00ffb\r\n")).toBe("HTTP/1.1 400 Bad Request");
    expect(await get(URL_ACME, "Last-Event-ID: a.1-1\r\nLast-Event-ID: b.1-1\r\n")).toBe(
      "HTTP/1.1 400 Bad Request",
    );
    expect(await get("/stream/updates?companyId=ac\u0000me")).toBe("HTTP/1.1 400 Bad Request");
    expect(await get(`${URL_ACME}&types=%00`)).toBe("HTTP/1.1 400 Bad Request");
    expect(await send(port, `GET ${URL_ACME} HTTP/1.1\r\nHost: a b\r\n\r\n`)).toMatch(/^HTTP\/1.1 400/);
    expect(
      await send(port, `GET ${URL_ACME} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \u00ff\r\n\r\n`),
    ).toBe("HTTP/1.1 401 Unauthorized");
    expect(await get(URL_ACME)).toBe("HTTP/1.1 200 OK");
  });

  it("forgets a client that cuts its connection", async () => {
    const { port, hub } = await start();
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.write(
      `GET /stream/updates?companyId=acme HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${await token()}\r\n\r\n`,
    );
    await waitFor("the stream", () => text.includes("retry:"));
    expect(hub.stats().totalConnections).toBe(1);
    socket.resetAndDestroy();
    await waitFor("no connection", () => hub.stats().totalConnections === 0);
  });
});

describe("what is read again at every load", () => {
  it("/openapi.yaml and /openapi.json have an ETag, and are 304 to who has it", async () => {
    await using test = await startTestApp();
    for (const path of ["/openapi.yaml", "/openapi.json"]) {
      const tag = (await test.ask(path, { token: null })).headers.get("etag");
      expect(tag).toMatch(/^"/);
      const again = await test.ask(path, { token: null, headers: { "if-none-match": tag! } });
      expect([again.status, await again.text()]).toEqual([304, ""]);
    }
  });

  it("the folder of a page leads to it, with and without the slash", async () => {
    const asset = { contentType: "text/html", body: new Uint8Array(1), immutable: false };
    const pages = new Map([
      ["/", asset],
      ["/swagger/index.html", asset],
    ]);
    await using test = await startTestApp({ deps: { pages } });
    for (const path of ["/swagger", "/swagger/"]) {
      const response = await test.ask(path, { token: null });
      expect([response.status, response.headers.get("location")]).toEqual([302, "/swagger/index.html"]);
    }
    expect((await test.ask("/", { token: null })).status).toBe(200);
  });
});
