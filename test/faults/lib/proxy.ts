/** A TCP proxy that cuts: after so many bytes, wherever in a message that is, or with what one side has sent kept back. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What the client sends, or what the server sends. */
export type Direction = "up" | "down";

export interface CuttingProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections taken so far. */
  readonly connections: number;
  /** Hands on so many of the next bytes of the direction (default the proxy's), and ends both sides of the connection. Resolves when it has. */
  cutAfter(bytes: number, way?: Direction): Promise<void>;
  /** Keeps back what is sent that way from now on. */
  hold(way: Direction): void;
  /** Hands on what was kept back, and keeps back no more. */
  release(): void;
  /** Ends every connection; what was kept back is lost. Connections after it are handed on. */
  cut(): Promise<void>;
}

/** @param direction Whose bytes `cutAfter` counts. */
export async function startProxy(target: number, direction: Direction): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const kept = new Map<Socket, Buffer[]>();
  let connections = 0;
  let cut: { readonly way: Direction; left: number; readonly done: () => void } | undefined;
  let holding: Direction | undefined;

  const server = createServer({ noDelay: true }, (client) => {
    connections++;
    const upstream = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const ends = [client, upstream];
    for (const socket of ends) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        kept.delete(socket);
        for (const end of ends) end.destroySoon();
      });
    }
    const relay = (from: Socket, to: Socket, way: Direction) => {
      from.on("data", (chunk: Buffer) => {
        if (holding === way) return void kept.set(to, [...(kept.get(to) ?? []), chunk]);
        if (cut?.way !== way) return void to.write(chunk);
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
    relay(client, upstream, "up");
    relay(upstream, client, "down");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");

  const cutAll = async () => {
    kept.clear();
    holding = undefined;
    const open = [...sockets];
    const closed = open.map((socket) => once(socket, "close"));
    for (const socket of open) socket.destroy();
    await Promise.all(closed);
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    cutAfter: (bytes, way = direction) =>
      new Promise<void>((done) => {
        cut = { way, left: bytes, done };
      }),
    hold(way) {
      holding = way;
    },
    release() {
      holding = undefined;
      for (const [to, chunks] of kept) to.write(Buffer.concat(chunks));
      kept.clear();
    },
    cut: cutAll,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      await cutAll();
      await closed;
    },
  };
}
