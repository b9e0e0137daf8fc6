/** Peers: other people's SSE servers, each in processes of its own, for the conformance kit and the benchmark. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { start } from "../process.ts";
import { waitFor } from "../wait.ts";
import { missingNchan, startNchan } from "./nchan.ts";

export const PEERS = ["hono-stream-sse", "better-sse", "nchan"] as const;
export type PeerName = (typeof PEERS)[number];

const SCRIPTS = {
  "hono-stream-sse": new URL("./hono-stream-sse.ts", import.meta.url),
  "better-sse": new URL("./better-sse.ts", import.meta.url),
};

export interface Peer {
  readonly name: PeerName;
  /** Origin. */
  readonly url: string;
  /** Path of the stream; the company goes in `companyId`, the cursor in `lastEventId` or the header. */
  readonly streamPath: string;
  /** The company's stream. */
  streamUrl(company: string): string;
  /** Where an event's data is posted, one event a request. */
  publishUrl(company: string, type?: string): string;
  /** Headers that carry the event type where the URL does not. */
  publishHeaders(type: string): Record<string, string>;
  /** The process that was started. */
  readonly pid: number;
  /** It and its children: nginx serves from a worker. */
  pids(): number[];
  stop(): Promise<void>;
}

/** Why the peer cannot be started here, with the command that provides it; undefined when it can. */
export function missingPeer(name: PeerName): string | undefined {
  return name === "nchan" ? missingNchan() : undefined;
}

/**
 * Starts a peer on a free port. `keepEvents` (default 0) is how many events a company it keeps for replay; nchan, which always
 * keeps some, takes 10,000 then.
 */
export async function startPeer(name: PeerName, { keepEvents = 0 } = {}): Promise<Peer> {
  if (name === "nchan") {
    const nginx = await startNchan(keepEvents || 10_000);
    return peer(name, nginx.url, nginx.pid, nginx.stop);
  }
  const child = start(process.execPath, [fileURLToPath(SCRIPTS[name])], {
    env: { PORT: "0", REPLAY: String(keepEvents) },
  });
  const url = await waitFor(`${name} to be ready`, () => {
    if (child.child.exitCode !== null) throw new Error(child.output());
    return /^ready (\S+)$/m.exec(child.output())?.[1];
  });
  return peer(name, url, child.pid, () => child.stop("SIGKILL"));
}

function peer(name: PeerName, url: string, pid: number, stop: () => Promise<void>): Peer {
  const typeInUrl = name !== "nchan";
  return {
    name,
    url,
    streamPath: "/sse",
    streamUrl: (company) => `${url}/sse?companyId=${encodeURIComponent(company)}`,
    publishUrl: (company, type = "message") =>
      `${url}/publish?companyId=${encodeURIComponent(company)}${typeInUrl ? `&type=${encodeURIComponent(type)}` : ""}`,
    publishHeaders: (type) => (typeInUrl ? {} : { "x-eventsource-event": type }),
    pid,
    pids: () => [pid, ...childrenOf(pid)],
    stop,
  };
}

function childrenOf(pid: number): number[] {
  try {
    const text = execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" });
    return text.split("\n").filter(Boolean).map(Number);
  } catch {
    return []; // pgrep exits 1 when there are none.
  }
}
