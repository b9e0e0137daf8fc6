/** The WebSocket port on Node: handshakes, back-pressure, peers that are gone, ends. */
import { once } from "node:events";
import { createServer, request as httpRequest, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { textMessage } from "../../functions/core/text-message.ts";
import type { WebSocketSink } from "../../functions/ports/web-socket.ts";
import { createWebSockets } from "../../functions/runtimes/node/web-sockets.ts";
import { recordingLogger } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";

/** What the answer of every handshake carries here. */
const HEADERS = { "x-handshake": "told" };

interface Accepted {
  readonly sink: WebSocketSink;
  isGone: boolean;
}
type Answer = (request: Request, accept: () => Response) => Response | Promise<Response>;

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function start({
  heartbeatMs = 60_000,
  answer = (_request, accept) => accept(),
}: {
  heartbeatMs?: number;
  answer?: Answer;
} = {}) {
  const accepted: Accepted[] = [];
  const requests: Request[] = [];
  const logger = recordingLogger();
  const webSockets = createWebSockets({ heartbeatMs, logger });
  const server: Server = createServer({ shouldUpgradeCallback: webSockets.isWanted }, (_incoming, outgoing) =>
    outgoing.end("ordinary"),
  );
  webSockets.attach(server, (request, env) => {
    requests.push(request);
    return answer(request, () => {
      let isGone = false;
      const { sink, response } = webSockets.open({ raw: request, env }, HEADERS, () => {
        if (isGone) throw new Error("onGone was called twice");
        isGone = true;
        one.isGone = true;
      });
      const one: Accepted = { sink, isGone: false };
      accepted.push(one);
      return response;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await webSockets[Symbol.asyncDispose]();
    await closed;
  });
  const { port } = server.address() as { port: number };

  const open = async (path = "/ws/x", options = {}) => {
    const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
    stack.defer(() => client.terminate());
    const messages: string[] = [];
    const ends: [number, string][] = [];
    client.on("message", (data, isBinary) => messages.push(`${isBinary ? "binary " : ""}${String(data)}`));
    client.on("close", (code, reason) => ends.push([code, String(reason)]));
    client.on("error", () => {});
    await once(client, "open");
    return { client, messages, ends };
  };
  /** A client that speaks only what it is told. */
  const raw = async (headers: readonly string[], path = "/ws/x") => {
    const socket: Socket = connect(port, "127.0.0.1");
    stack.defer(() => void socket.destroy());
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.write([`GET ${path} HTTP/1.1`, ...headers, "", ""].join("\r\n"));
    return { socket, text: () => text };
  };
  return { port, accepted, requests, logger, open, raw };
}

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const HANDSHAKE = [
  "Host: a.example",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
];

describe("createWebSockets", () => {
  it("asks the app with the request as it came, and carries messages as text", async () => {
    const { accepted, requests, open } = await start();
    const { messages, client } = await open("/ws/a%20b?x=1&y=%2F", {
      headers: { authorization: "Bearer t", "x-twice": ["1", "2"] },
      origin: "https://o.example",
    });
    const { url, method, headers } = requests[0]!;
    expect([new URL(url).pathname, new URL(url).search, method]).toEqual(["/ws/a%20b", "?x=1&y=%2F", "GET"]);
    expect(["authorization", "x-twice", "origin", "upgrade"].map((name) => headers.get(name))).toEqual([
      "Bearer t",
      "1, 2",
      "https://o.example",
      "websocket",
    ]);
    expect(accepted[0]!.sink.send(textMessage('{"é":"漢 🚂"}'))).toBe(true);
    await waitFor("the message", () => messages.length === 1);
    expect(messages).toEqual(['{"é":"漢 🚂"}']);
    client.send("ignored");
    client.close(1000);
    await waitFor("it to be gone", () => accepted[0]!.isGone);
    expect(accepted[0]!.sink.send(textMessage("too late"))).toBe(true);
    accepted[0]!.sink.close(1001, "again");
  });

  it("writes a refusal with its body and headers, and closes", async () => {
    const { raw } = await start({
      answer: () =>
        Response.json(
          { error: "Forbidden" },
          { status: 403, headers: { "x-reason": "because", "retry-after": "5" } },
        ),
    });
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await once(socket, "close");
    expect(text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(text()).toMatch(/\r\nx-reason: because\r\n/);
    expect(text()).toMatch(/\r\nconnection: close\r\n/);
    expect(text()).toMatch(/\r\ncontent-length: 21\r\n\r\n\{"error":"Forbidden"\}$/);
  });

  it.each([
    ["no key", HANDSHAKE],
    ["a bad key", [...HANDSHAKE, "Sec-WebSocket-Key: x"]],
    ["a version there is not", [...HANDSHAKE.slice(0, 3), "Sec-WebSocket-Version: 99", KEY]],
  ])(
    "answers 400 to a handshake with %s, and the route hears that nobody is there",
    async (_name, headers) => {
      const { raw, accepted } = await start();
      const { socket, text } = await raw(headers);
      await once(socket, "close");
      expect(text()).toMatch(/^HTTP\/1\.1 400 /);
      await waitFor("it to be gone", () => accepted[0]!.isGone);
      expect(accepted[0]!.sink.send(textMessage("x"))).toBe(true);
    },
  );

  it.each(["a b", "a/stream/stats?x=", "a?x=", "a#x", "u@a", "a\\b"])(
    "answers 400 to the host %j, which is none, without asking the app",
    async (host) => {
      const { raw, requests } = await start();
      const { socket, text } = await raw([`Host: ${host}`, ...HANDSHAKE.slice(1), KEY]);
      await once(socket, "close");
      expect([text().slice(0, 13), requests.length]).toEqual(["HTTP/1.1 400 ", 0]);
    },
  );

  it("leaves every other request alone, also one that offers another protocol, or a WebSocket elsewhere", async () => {
    const { port, requests } = await start();
    const ask = (path: string, upgrade: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = {
          connection: "Upgrade",
          upgrade,
          "sec-websocket-version": "13",
          "sec-websocket-key": KEY,
        };
        httpRequest({ port, host: "127.0.0.1", path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
    expect(await ask("/ws/x", "h2c")).toBe(200);
    expect(await ask("/stream/updates", "websocket")).toBe(200);
    expect(requests).toEqual([]);
  });

  it("drops the connection when the app throws, and logs why", async () => {
    const { raw, logger } = await start({
      answer: () => {
        throw new Error("broken");
      },
    });
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await once(socket, "close");
    expect(text()).toBe("");
    expect(logger.lines).toMatchObject([{ level: "error", fields: { reason: "broken" } }]);
  });

  it("survives a client that leaves while it is asked about", async () => {
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const { raw, accepted, open } = await start({
      answer: async (request, accept) => {
        if (!request.url.endsWith("slow")) return accept();
        asked.resolve();
        await go.promise;
        return accept();
      },
    });
    const { socket } = await raw([...HANDSHAKE, KEY], "/ws/slow");
    await asked.promise;
    socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    go.resolve();
    await waitFor("it to be gone", () => accepted[0]?.isGone);
    await open();
  });

  it("is full while the kernel does not take more, and calls back once it has", async () => {
    const { accepted, raw } = await start();
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await waitFor("the handshake", () => text().includes("\r\n\r\n"));
    socket.pause();
    const { sink } = accepted[0]!;
    let drains = 0;
    sink.onDrain = () => {
      drains++;
    };
    const message = textMessage("x".repeat(256 * 1024));
    let sent = 0;
    while (sink.send(message)) expect(++sent).toBeLessThan(500);
    expect(drains).toBe(0);
    socket.resume();
    await waitFor("the drain", () => drains === 1);
    expect(sink.send(textMessage("more"))).toBe(true);
    await waitFor("the last one", () => text().endsWith("more"));
    expect(drains).toBe(1);
  });

  it("cuts a full one at its close, and lets others finish what they were sent", async () => {
    const { accepted, raw, open } = await start();
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await waitFor("the handshake", () => text().includes("\r\n\r\n"));
    socket.pause();
    const message = textMessage("x".repeat(256 * 1024));
    while (accepted[0]!.sink.send(message));
    accepted[0]!.sink.close(1001, "idle");
    await waitFor("it to be gone", () => accepted[0]!.isGone);

    const { messages, ends } = await open();
    accepted[1]!.sink.send(textMessage("last"));
    accepted[1]!.sink.close(1001, "connect again");
    await waitFor("the close", () => ends.length === 1);
    expect([messages, ends]).toEqual([["last"], [[1001, "connect again"]]]);
    await waitFor("it to be gone", () => accepted[1]!.isGone);
  });

  it("cuts a client that does not answer the close", async () => {
    const { accepted, raw } = await start();
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await waitFor("the handshake", () => text().includes("\r\n\r\n"));
    accepted[0]!.sink.close(1001, "");
    await once(socket, "close");
    await waitFor("it to be gone", () => accepted[0]!.isGone);
  });

  it("notices a peer that answers no ping, and keeps one that does", async () => {
    const { accepted, raw, open } = await start({ heartbeatMs: 100 });
    const { ends, client } = await open();
    let pings = 0;
    client.on("ping", () => {
      pings++;
    });
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await once(socket, "close");
    // A ping has no payload: two bytes.
    expect(text().endsWith("\x89\x00")).toBe(true);
    await waitFor("some pings more", () => pings >= 4);
    expect([accepted[0]!.isGone, accepted[1]!.isGone, ends]).toEqual([false, true, []]);
  });

  it("ends a client that sends too much, or what is no frame", async () => {
    const { accepted, open, raw } = await start();
    const { client, ends } = await open();
    client.send("x".repeat(2000));
    await waitFor("the close", () => ends.length === 1);
    expect(ends[0]![0]).toBe(1009);
    const { socket, text } = await raw([...HANDSHAKE, KEY]);
    await waitFor("the handshake", () => text().includes("\r\n\r\n"));
    socket.write("nonsense, unmasked");
    await once(socket, "close");
    await waitFor("both to be gone", () => accepted.every(({ isGone }) => isGone));
  });

  it("refuses what Node made no upgrade of: a request that says what to, but not that it wants it", async () => {
    const webSockets = createWebSockets({ heartbeatMs: 60_000, logger: recordingLogger() });
    const request = new Request("http://localhost/ws/updates", { headers: { upgrade: "websocket" } });
    const open = () => webSockets.open({ raw: request, env: { incoming: {}, outgoing: {} } }, {}, () => {});
    expect(open).toThrow("no Connection: Upgrade");
  });

  it("holds no timer while nobody is connected", async () => {
    const { open, accepted } = await start({ heartbeatMs: 40_000 });
    // The runner's own come and go.
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const { client } = await open();
    client.close();
    await waitFor("it to be gone", () => accepted[0]!.isGone);
    const before = timers();
    const more = await Promise.all([open(), open(), open()]);
    expect(timers()).toBeLessThanOrEqual(before + 1);
    for (const { client: one } of more) one.close();
    await waitFor("all to be gone", () => accepted.every(({ isGone }) => isGone));
  });
});
