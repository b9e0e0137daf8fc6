/** What a test asks of the stand-in's process over its second port: one JSON line each way, then the connection ends. */
import { createConnection } from "node:net";
import type { Fault } from "./faults.ts";
import type { CommandResult } from "./manager.ts";
import type { Ending } from "./session.ts";

export interface QueuedMessage {
  readonly body: string;
  /** Hex of 24 bytes, both. */
  readonly msgId: string;
  readonly correlId: string;
  readonly priority: number;
  readonly isPersistent: boolean;
  readonly backoutCount: number;
  readonly user: string;
  readonly applName: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Put or got in a unit of work that is not committed. */
  readonly isHidden: boolean;
}

export interface Connected {
  readonly channel: string;
  readonly user: string;
  readonly applName: string;
  /** Messages of its unit of work; stream copies count. */
  readonly puts: number;
  readonly gets: number;
}

export interface PutRequest {
  readonly queue: string;
  /** Base64. */
  readonly bodies: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly isPersistent?: boolean;
  readonly priority?: number;
  readonly ccsid?: number;
  readonly format?: string;
  /** Milliseconds. */
  readonly expiresInMs?: number;
}

/** Each request's name, what it takes and what it gives. */
export interface ControlRequests {
  run: { takes: string; gives: CommandResult[] };
  /** Puts as an administrator, outside a unit of work; gives the reason of the first that failed, 0 when none did. */
  put: { takes: PutRequest; gives: number };
  depth: { takes: string; gives: number };
  messages: { takes: string; gives: QueuedMessage[] };
  inject: { takes: Fault; gives: null };
  clearFaults: { takes: null; gives: null };
  end: { takes: Ending; gives: null };
  /** Calls of each verb since the process began. */
  calls: { takes: null; gives: Record<string, number> };
  connections: { takes: null; gives: Connected[] };
  /** Cuts every connection. */
  cut: { takes: null; gives: null };
}

export type ControlHandlers = {
  [Name in keyof ControlRequests]: (takes: ControlRequests[Name]["takes"]) => ControlRequests[Name]["gives"];
};

/** Asks the stand-in's process on its control port. Rejects with what it says, or when it is not there. */
export function ask<Name extends keyof ControlRequests>(
  port: number,
  name: Name,
  takes: ControlRequests[Name]["takes"],
): Promise<ControlRequests[Name]["gives"]> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("end", () => {
      if (text === "") return reject(new Error(`The stand-in ended before it answered "${name}"`));
      const { error, gives } = JSON.parse(text);
      if (error === undefined) resolve(gives);
      else reject(new Error(error));
    });
    socket.end(`${JSON.stringify({ name, takes })}\n`);
  });
}
