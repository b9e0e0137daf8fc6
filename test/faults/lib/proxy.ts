/** A TCP proxy that cuts: after so many bytes, wherever in a message that is. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CuttingProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections taken so far. */
  readonly connections: number;
  /** Hands on so many of the next bytes of the direction, and ends both sides of the connection. Resolves when it has. */
  cutAfter(bytes: number): Promise<void>;
}

/** @param direction Whose bytes are counted: those the client sends, or those the server sends. */
export async function startProxy(target: number, direction: "up" | "down"): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let cut: { left: number; readonly done: () => void } | undefined;

  const server = createServer((client) => {
    connections++;
    const upstream = connect(target, "127.0.0.1");
    const ends = [client, upstream];
    for (const socket of ends) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        for (const end of ends) end.destroySoon();
      });
    }
    const relay = (from: Socket, to: Socket, isCounted: boolean) => {
      from.on("data", (chunk: Buffer) => {
        if (!isCounted || !cut) return void to.write(chunk);
        const part = chunk.subarray(0, cut.left);
        cut.left -= part.length;
        to.write(part);
        if (cut.left > 0) return;
        const { done } = cut;
        cut = undefined;
        from.removeAllListeners("data");
        from.destroy();
        to.once("close", done);
        to.destroySoon();
      });
    };
    relay(client, upstream, direction === "up");
    relay(upstream, client, direction === "down");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    cutAfter: (bytes) =>
      new Promise<void>((done) => {
        cut = { left: bytes, done };
      }),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
