/** OpenWebSocket on a runtime that is a process of its own (test/support/web-socket-peer.ts): handshakes, back-pressure, peers that are gone, ends. */
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type RunningProcess, start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

const PEER = fileURLToPath(new URL("../support/web-socket-peer.ts", import.meta.url));

export interface WebSocketRuntime {
  readonly name: string;
  /** The program that runs a TypeScript file, and what goes before the file. */
  readonly command: readonly [string, ...string[]];
  /** A client that does not read, or does not answer a close, can be cut. Deno has no way to (docs.deno.com/api/web/~/WebSocket). */
  readonly cutsPeers: boolean;
  /** Status of a handshake with a version there is not: RFC 6455 section 4.2.2 has 426, `ws` on Node answers 400. */
  readonly badVersionStatus: 400 | 426;
  readonly skip?: string | undefined;
}

interface State {
  readonly accepted: readonly { readonly gone: number; readonly drains: number }[];
  readonly requests: readonly { readonly url: string; readonly headers: Readonly<Record<string, string>> }[];
}

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const HANDSHAKE = [
  "Host: a.example",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
];

export function describeWebSockets({
  name,
  command,
  cutsPeers,
  badVersionStatus,
  skip,
}: WebSocketRuntime): void {
  let stack = new AsyncDisposableStack();
  afterEach(async () => {
    await stack.disposeAsync();
    stack = new AsyncDisposableStack();
  });

  async function startPeer(heartbeatMs = 60_000) {
    const [program, ...args] = command;
    const peer: RunningProcess = start(program, [...args, PEER, String(heartbeatMs)]);
    stack.defer(() => peer.stop("SIGKILL"));
    const url = await waitFor("the peer", () => {
      if (peer.child.exitCode !== null) throw new Error(peer.output());
      return /^peer ready (\S+)$/m.exec(peer.output())?.[1];
    });
    const ask = async (path: string) => (await (await fetch(url + path)).json()) as Record<string, unknown>;
    const state = async () => (await ask("/state")) as unknown as State;
    const gone = (at = 0) => waitFor("it to be gone", async () => (await state()).accepted[at]?.gone === 1);

    const open = async (path = "/ws/x", options = {}) => {
      const client = new WebSocket(`${url.replace("http", "ws")}${path}`, options);
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
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      stack.defer(() => void socket.destroy());
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("error", () => {});
      socket.write([`GET ${path} HTTP/1.1`, ...headers, "", ""].join("\r\n"));
      return { socket, text: () => text };
    };
    return { peer, ask, state, gone, open, raw };
  }

  describe.skipIf(skip !== undefined)(`OpenWebSocket on ${name}${skip ? ` (${skip})` : ""}`, () => {
    it("asks with the request as it came, answers with the headers given, and carries messages as text", async () => {
      const { ask, state, gone, open, raw } = await startPeer();
      const { messages, client } = await open("/ws/a%20b?x=1&y=%2F", {
        headers: { authorization: "Bearer t", "x-twice": ["1", "2"] },
        origin: "https://o.example",
      });
      const [{ url, headers } = { url: "", headers: {} }] = (await state()).requests;
      expect([new URL(url).pathname, new URL(url).search]).toEqual(["/ws/a%20b", "?x=1&y=%2F"]);
      expect(headers).toMatchObject({
        authorization: "Bearer t",
        "x-twice": "1, 2",
        origin: "https://o.example",
      });
      expect(await ask(`/send?text=${encodeURIComponent('{"é":"漢 🚂"}')}`)).toMatchObject({
        writable: true,
      });
      await waitFor("the message", () => messages.length === 1);
      expect(messages).toEqual(['{"é":"漢 🚂"}']);
      client.send("ignored");
      client.close(1000);
      await gone();
      expect(await ask("/send?text=late")).toMatchObject({ writable: true });
      await ask("/close?code=1001&reason=again");
      expect((await state()).accepted[0]).toMatchObject({ gone: 1 });

      const handshake = await raw([...HANDSHAKE, KEY, "Sec-WebSocket-Protocol: chat"]);
      await waitFor("the handshake", () => handshake.text().includes("\r\n\r\n"));
      expect(handshake.text()).toMatch(/^HTTP\/1\.1 101 /);
      expect(handshake.text()).toMatch(/\r\nset-cookie: a=b; HttpOnly\r\n/i);
      // Neither a protocol nor compression is agreed to.
      expect(handshake.text()).not.toMatch(/sec-websocket-(protocol|extensions)/i);
    });

    it("sends what was sent before the handshake went out, and closes with what was said by then", async () => {
      const { open } = await startPeer();
      const early = await open("/ws/early");
      await waitFor("the message", () => early.messages.length === 1);
      expect(early.messages).toEqual(["early"]);
      const brief = await open("/ws/brief");
      await waitFor("the close", () => brief.ends.length === 1);
      expect(brief.ends).toEqual([[4401, "expired"]]);
    });

    it("writes a refusal with its body and headers", async () => {
      const { raw, state } = await startPeer();
      const { text } = await raw([...HANDSHAKE, KEY], "/ws/refused");
      await waitFor("the answer", () => text().includes("}"));
      expect(text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
      expect(text()).toMatch(/\r\nx-reason: because\r\n/i);
      expect(text()).toMatch(/\r\n\r\n\{"error":"Forbidden"\}$/);
      expect((await state()).accepted).toEqual([]);
    });

    it.each([
      ["no key", HANDSHAKE, 400],
      ["a bad key", [...HANDSHAKE, "Sec-WebSocket-Key: x"], 400],
      [
        "a version there is not",
        [...HANDSHAKE.slice(0, 3), "Sec-WebSocket-Version: 99", KEY],
        badVersionStatus,
      ],
    ])(
      "refuses a handshake with %s, and whoever asked hears that nobody is there",
      async (_name, headers, status) => {
        const { raw, state } = await startPeer();
        const { text } = await raw(headers);
        await waitFor("the answer", () => text().includes("\r\n\r\n"));
        expect(text()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        await waitFor("it to be gone", async () => (await state()).accepted.every(({ gone }) => gone === 1));
      },
    );

    it("survives a client that leaves while it is asked about", async () => {
      const { raw, gone, open, state } = await startPeer();
      const { socket } = await raw([...HANDSHAKE, KEY], "/ws/slow");
      await waitFor("the request", async () => (await state()).requests.length === 1);
      socket.resetAndDestroy();
      await gone();
      await open();
    });

    it("is full while the kernel does not take more, and calls back once it has", async () => {
      const { ask, raw, state } = await startPeer();
      const { socket, text } = await raw([...HANDSHAKE, KEY]);
      await waitFor("the handshake", () => text().includes("\r\n\r\n"));
      socket.pause();
      // What a full one holds the kernel may take all the same, and Deno looks every 20 ms: filled until it stays so.
      const before = await waitFor("it to stay full", async () => {
        const { drains } = (await state()).accepted[0]!;
        expect((await ask(`/fill?size=${1024 * 1024}`)).sent).toBeLessThan(500);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return (await state()).accepted[0]!.drains === drains && { drains };
      });
      socket.resume();
      await waitFor("the drain", async () => (await state()).accepted[0]!.drains === before.drains + 1);
      expect(await ask("/send?text=more")).toMatchObject({ writable: true });
      await waitFor("the last one", () => text().endsWith("more"));
      expect((await state()).accepted[0]!.drains).toBe(before.drains + 1);
    });

    it("is done with a full one at its close, and lets others finish what they were sent", async () => {
      const { ask, raw, gone, open } = await startPeer();
      const { socket, text } = await raw([...HANDSHAKE, KEY]);
      await waitFor("the handshake", () => text().includes("\r\n\r\n"));
      socket.pause();
      const closed = once(socket, "close");
      await ask(`/fill?size=${256 * 1024}`);
      await ask("/close?code=1001&reason=idle");
      await gone();
      socket.resume();
      if (cutsPeers) await closed;
      const { messages, ends } = await open();
      await ask("/send?at=1&text=last");
      await ask("/close?at=1&code=1001&reason=connect%20again");
      await waitFor("the close", () => ends.length === 1);
      expect([messages, ends]).toEqual([["last"], [[1001, "connect again"]]]);
      await gone(1);
    });

    it("is done with a client that does not answer the close", async () => {
      const { ask, raw, gone } = await startPeer();
      const { socket, text } = await raw([...HANDSHAKE, KEY]);
      await waitFor("the handshake", () => text().includes("\r\n\r\n"));
      const closed = once(socket, "close");
      await ask("/close?code=1001");
      await gone();
      if (cutsPeers) await closed;
    });

    it("notices a peer that answers no ping, and keeps one that does", async () => {
      const { raw, open, gone, state } = await startPeer(500);
      const { ends, client } = await open();
      let pings = 0;
      client.on("ping", () => {
        pings++;
      });
      const { socket, text } = await raw([...HANDSHAKE, KEY]);
      const closed = once(socket, "close");
      socket.on("end", () => socket.destroy());
      await closed;
      // A ping is 0x89 and has few bytes or none.
      expect(text()).toContain("\x89");
      await waitFor("some pings more", () => pings >= 3);
      await gone(1);
      expect([(await state()).accepted[0]!.gone, ends]).toEqual([0, []]);
    });

    it("ends a client that sends too much, or what is no frame", async () => {
      const { gone, open, raw } = await startPeer();
      const { client, ends } = await open();
      client.send("x".repeat(2000));
      await waitFor("the close", () => ends.length === 1);
      expect(ends[0]![0]).toBe(1009);
      const { socket, text } = await raw([...HANDSHAKE, KEY]);
      await waitFor("the handshake", () => text().includes("\r\n\r\n"));
      const closed = once(socket, "close");
      socket.write("nonsense, unmasked");
      await closed;
      await gone(0);
      await gone(1);
    });
  });
}
