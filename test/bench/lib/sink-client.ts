/** Clients that take bytes and do nothing with them, in a process of their own: what is measured is who sends. */
import { connect, type Socket } from "node:net";
import { answerCalls } from "./worker.ts";

export type SinkClientCalls = typeof calls;

const sockets: Socket[] = [];
let received = 0;

const calls = {
  /** Resolves when all are connected. */
  async connect(port: number, count: number): Promise<void> {
    const scratch = Buffer.alloc(64 * 1024);
    for (let n = 0; n < count; n++) {
      await new Promise<void>((resolve, reject) => {
        const socket = connect({
          port,
          host: "127.0.0.1",
          onread: {
            buffer: scratch,
            callback(bytes) {
              received += bytes;
              return true;
            },
          },
        });
        sockets.push(socket);
        socket.once("connect", () => resolve()).once("error", reject);
      });
    }
  },
  /** Bytes since the start, over all. */
  received: (): number => received,
};

answerCalls(calls);
