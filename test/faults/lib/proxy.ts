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
  /** Takes nothing more that way: who sends is left with it when the sockets between are full. */
  stall(way: Direction): void;
  /** Hands on what was kept back, and keeps back no more; takes everything again. */
  release(): void;
  /** Ends every connection; what was kept back is lost. Connections after it are handed on. */
  cut(): Promise<void>;
}

/**
 * @param direction Whose bytes `cutAfter` counts.
 * @param onChunk Called with what came, before it is handed on or kept back.
 */
export async function startProxy(
  target: number,
  direction: Direction,
  onChunk?: (chunk: Buffer, way: Direction) => void,
): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const kept = new Map<Socket, Buffer[]>();
  const sources = new Map<Socket, Direction>();
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
        sources.delete(socket);
        for (const end of ends) end.destroySoon();
      });
    }
    const relay = (from: Socket, to: Socket, way: Direction) => {
      sources.set(from, way);
      from.on("data", (chunk: Buffer) => {
        onChunk?.(chunk, way);
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
    stall(way) {
      for (const [from, its] of sources) if (its === way) from.pause();
    },
    release() {
      holding = undefined;
      for (const from of sources.keys()) from.resume();
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
