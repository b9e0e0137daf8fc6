/** The systems compared: each starts a server on the server core and says where to read and where to publish. */
import { missingPeer, PEERS, type PeerName, startPeer } from "../../support/peers/peers.ts";
import { missing, startRedis } from "../../support/servers.ts";
import type { StreamRequest } from "./load-client.ts";
import { startMillrace } from "./millrace.ts";
import type { PublishTarget } from "./outlet.ts";
import { EVENT_TYPE } from "./payload.ts";
import { CORES, pin } from "./processes.ts";
import { MILLRACE } from "./section.ts";
import { JWT_SECRET, mintToken } from "./token.ts";

/** The one company of the bench. */
export const COMPANY = "bench";
/** Events a system keeps for replay: more than the storm asks for. */
const KEEP_EVENTS = 1000;

export interface RunningSystem extends AsyncDisposable {
  /** Of the server; its children count as it. */
  readonly pid: number;
  /** What a client asks for, resuming after the event of the id if given. */
  stream(after?: string): StreamRequest;
  readonly publish: PublishTarget;
  /**
   * Whether taking an event in is part of what the server is for. An app would publish from its own code: what the POST that stands
   * for it costs is taken off again.
   */
  readonly intakeCounts: boolean;
  /** The Redis behind the server, if there is one. */
  readonly redisUrl?: string;
}

export interface System {
  readonly name: string;
  /** Undefined when it can be started here; else why not. */
  readonly missing: string | undefined;
  start(): Promise<RunningSystem>;
}

function peerSystem(name: PeerName): System {
  return {
    name,
    missing: missingPeer(name),
    async start() {
      const peer = await startPeer(name, { keepEvents: KEEP_EVENTS });
      await pin(peer.pid, CORES?.server);
      const url = new URL(peer.streamUrl(COMPANY));
      return {
        pid: peer.pid,
        stream: (after) => ({
          host: url.hostname,
          port: Number(url.port),
          path: url.pathname + url.search,
          headers: after === undefined ? {} : { "Last-Event-ID": after },
        }),
        publish: { kind: "http", url: peer.publishUrl(COMPANY, EVENT_TYPE) },
        intakeCounts: name === "nchan",
        [Symbol.asyncDispose]: () => peer.stop(),
      };
    },
  };
}

/** As it runs in production: its log on a real Redis, JWT authentication, a filter on types, replay. */
const millraceSystem: System = {
  name: MILLRACE,
  missing: missing("redis-server"),
  async start() {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    await pin(redis.process().pid, CORES?.rest);
    const server = stack.use(await startMillraceServer(redis.url));
    await pin(server.pid, CORES?.server);
    const stream = await streamOf(server.url);
    const owned = stack.move();
    return {
      pid: server.pid,
      stream: (after) =>
        after === undefined ? stream : { ...stream, headers: { ...stream.headers, "Last-Event-ID": after } },
      publish: { kind: "log", redisUrl: redis.url, company: COMPANY },
      intakeCounts: true,
      redisUrl: redis.url,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  },
};

/** `millrace serve` on a free port. */
export function startMillraceServer(redisUrl: string) {
  return startMillrace("serve", { PORT: "0", REDIS_URL: redisUrl, AUTH_MODE: "jwt", JWT_SECRET });
}

/** The company's events of one type, asked for with a token. */
export async function streamOf(serverUrl: string): Promise<StreamRequest> {
  const { hostname, port } = new URL(serverUrl);
  return {
    host: hostname,
    port: Number(port),
    path: `/stream/updates?companyId=${COMPANY}&types=${EVENT_TYPE}`,
    headers: { Authorization: `Bearer ${await mintToken(COMPANY)}` },
  };
}

/** Interleaved in this order. */
export const SYSTEMS: readonly System[] = [millraceSystem, ...PEERS.map(peerSystem)];
