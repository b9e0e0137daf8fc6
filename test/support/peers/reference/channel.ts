/** Where the reference server's frames go: the body of a response, or messages of a WebSocket. */
import type { ServerResponse } from "node:http";
import { constants, createGzip } from "node:zlib";
import type { WebSocket } from "ws";
import type { Defect } from "./defects.ts";

export interface Channel {
  readonly isSocket: boolean;
  /** Takes frames of server-sent events. False: full. */
  write(text: string): boolean;
  onDrain(callback: () => void): void;
  onClose(callback: () => void): void;
  /** `code`: as a WebSocket says it. */
  end(code: number): void;
  destroy(): void;
}

/** `isZipped`: in gzip, flushed at every write unless that is what is broken. */
export function responseChannel(
  response: ServerResponse,
  { isZipped, defect }: { isZipped: boolean; defect: Defect | undefined },
): Channel {
  const zip = isZipped
    ? createGzip(defect === "unflushed-compression" ? {} : { flush: constants.Z_SYNC_FLUSH })
    : undefined;
  zip?.pipe(response);
  const body = zip ?? response;
  let held = "";
  return {
    isSocket: false,
    write(text) {
      if (defect !== "buffers") return body.write(text);
      held += text;
      if (held.length < 64_000) return true;
      const all = held;
      held = "";
      return body.write(all);
    },
    onDrain: (callback) => void body.on("drain", callback),
    onClose: (callback) => void response.once("close", callback),
    end: () => void body.end(),
    destroy: () => void response.destroy(),
  };
}

/** Bytes that wait from which it is full. */
const FULL_BYTES = 256 * 1024;

export function socketChannel(socket: WebSocket, defect: Defect | undefined): Channel {
  let drained = () => {};
  let isFull = false;
  return {
    isSocket: true,
    write(text) {
      for (const frame of text.split("\n\n").slice(0, -1)) {
        const message = messageOf(frame, defect);
        if (message === undefined) continue;
        socket.send(message, () => {
          if (!isFull || socket.bufferedAmount > 0) return;
          isFull = false;
          drained();
        });
      }
      isFull = socket.bufferedAmount > FULL_BYTES;
      return !isFull;
    },
    onDrain(callback) {
      drained = callback;
    },
    onClose: (callback) => void socket.once("close", callback),
    end: (code) => socket.close(code),
    destroy: () => socket.terminate(),
  };
}

/** The members of a frame as JSON, its data as it is; undefined: nothing is said. */
function messageOf(frame: string, defect: Defect | undefined): string | undefined {
  const members: string[] = [];
  for (const line of frame.split("\n")) {
    const [, name, value = ""] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === "" && defect === "socket-silent") return undefined;
    if (name === "event" || name === "id") members.push(`"${name}":${JSON.stringify(value)}`);
    if (name === "retry") members.push(`"retry":${value}`);
    if (name !== "data") continue;
    const isRounding = defect === "socket-rounds-numbers" && value.startsWith("{");
    members.push(`"data":${isRounding ? JSON.stringify(JSON.parse(value)) : value}`);
  }
  return `{${members.join(",")}}`;
}
