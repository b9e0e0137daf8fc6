/** Live in this process: its hub, its counters, its sinks. */
import { acceptsGzip } from "../core/accepts-gzip.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Deflate } from "../core/gzip.ts";
import { RETRY_MS } from "../core/limits.ts";
import { EVENT_STREAM_HEADERS, SSE } from "../core/sse.ts";
import type { Counters, SnapshotKind, SnapshotSink } from "../ports/counters.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { EventStreamRequest, OpenEventStream } from "../ports/event-stream.ts";
import type { Hub, Membership, Sink } from "../ports/hub.ts";
import {
  type Live,
  type LiveRequest,
  type SnapshotsRequest,
  type StatusRequest,
  scopeOf,
} from "../ports/live.ts";
import type { BoardMessage, ServiceBoard } from "../ports/service-board.ts";
import type { Sessions } from "../ports/sessions.ts";
import type { OpenWebSocket } from "../ports/web-socket.ts";
import { createFindLineStart } from "../services/line-start.ts";
import { createFollow } from "./follow.ts";
import { gzipSink } from "./gzip-sink.ts";
import { type EventsRequest, isOfEvents, joinRequest, startOf } from "./join-request.ts";
import { messageStreamSink } from "./message-stream-sink.ts";
import { lineSink, snapshotSocketSink } from "./web-socket-sink.ts";

/** Everything stays the caller's to close. */
export interface LocalLiveOptions {
  readonly hub: Hub;
  readonly counters: Counters;
  readonly board: ServiceBoard;
  /** Says where a viewer begins who names no cursor. */
  readonly log: Pick<EventLog, "tip" | "latest" | "read">;
  readonly sessions: Sessions;
  readonly openEventStream: OpenEventStream;
  readonly openWebSocket: OpenWebSocket;
  /** Compresses streams for clients that accept it; undefined: none is. */
  readonly deflate?: Deflate | undefined;
}

type Headers = Readonly<Record<string, string>>;

/** The feed is unnamed, so that `onmessage` hears it: it is all its stream has. */
const SNAPSHOT_EVENTS = { feed: "", dashboard: "event: dashboard\n" } as const satisfies Record<
  SnapshotKind,
  string
>;

function boardFrames({ events }: BoardMessage): string {
  return events.map(({ name, data }) => `event: ${name}\ndata: ${data}\n\n`).join("");
}

export function createLocalLive(options: LocalLiveOptions): Live {
  const { hub, counters, board, sessions, openEventStream, openWebSocket, deflate } = options;
  const findLineStart = createFindLineStart(options.log);

  /** Lets the connection join, and leave when its client is gone, which may be before it could join. */
  const connect = (wanted: LiveRequest) => {
    let leave: (() => void) | undefined;
    let isGone = false;
    return {
      onGone() {
        isGone = true;
        leave?.();
      },
      joined(membership: Membership) {
        const { principal } = wanted;
        const ended = sessions.enter({ principal, scope: scopeOf(wanted), membership });
        leave = () => {
          ended();
          membership.leave();
        };
        if (isGone) leave();
      },
    };
  };

  const refusalOf = (wanted: LiveRequest) => {
    const { maxConnections } = wanted;
    if (isOfEvents(wanted)) return hub.refusal(scopeOf(wanted), maxConnections);
    if (wanted.kind === "status") return board.refusal(maxConnections);
    return counters.refusal(wanted.scope, maxConnections);
  };
  const watch = ({ scope, kind }: SnapshotsRequest, sink: SnapshotSink) =>
    counters.watch({ scope, kind, sink });

  const openStream: OpenEventStream = (request, headers, onGone) => {
    if (deflate === undefined) return openEventStream(request, headers, onGone);
    const vary = headers.vary === undefined ? "Accept-Encoding" : `${headers.vary}, Accept-Encoding`;
    const asked = request.raw.headers;
    if (!acceptsGzip(asked.get("accept-encoding") ?? undefined, asked.get("via") ?? undefined)) {
      return openEventStream(request, { ...headers, vary }, onGone);
    }
    const coded = { ...headers, vary, "content-encoding": "gzip" };
    const { sink, response } = openEventStream(request, coded, onGone);
    return { sink: gzipSink(sink, deflate), response };
  };

  const watchOver = (sink: Sink, wanted: SnapshotsRequest | StatusRequest) =>
    wanted.kind === "status"
      ? board.watch(messageStreamSink(sink, boardFrames))
      : watch(
          wanted,
          messageStreamSink(sink, ({ text }) => `${SNAPSHOT_EVENTS[wanted.kind]}data: ${text}\n\n`),
        );

  const overStream = async (
    request: EventStreamRequest,
    wanted: LiveRequest,
    headers: Headers,
    after: Cursor | undefined,
  ) => {
    const { onGone, joined } = connect(wanted);
    const begun = Promise.withResolvers<void>();
    const gone = () => {
      onGone();
      begun.resolve();
    };
    const { sink, response } = openStream(request, { ...EVENT_STREAM_HEADERS, ...headers }, gone);
    if (!isOfEvents(wanted)) {
      sink.write(SSE.retry(RETRY_MS));
      joined(watchOver(sink, wanted));
      return response;
    }
    onFirstWrite(sink, begun.resolve);
    joined(hub.join(joinRequest(wanted, after, sink)));
    // A client takes the headers for a promise that what is published from here on comes. The hub writes when it can keep it.
    await begun.promise;
    return response;
  };

  /** The handshake is no such promise: the first message is. */
  const overSocket = (
    request: EventStreamRequest,
    wanted: EventsRequest | SnapshotsRequest,
    headers: Headers,
    after: Cursor | undefined,
  ) => {
    const { onGone, joined } = connect(wanted);
    const { sink, response } = openWebSocket(request, headers, onGone);
    joined(
      isOfEvents(wanted)
        ? hub.join(joinRequest(wanted, after, lineSink(sink)))
        : watch(wanted, snapshotSocketSink(sink)),
    );
    return response;
  };

  return {
    async open(request, wanted, headers) {
      let refused = refusalOf(wanted);
      if (refused !== undefined) return refused;
      const after = isOfEvents(wanted) ? await startOf(wanted, findLineStart) : undefined;
      // Others may have come in meanwhile.
      refused = refusalOf(wanted);
      if (refused !== undefined) return refused;
      return wanted.kind === "status" || wanted.transport === "sse"
        ? overStream(request, wanted, headers, after)
        : overSocket(request, wanted, headers, after);
    },
    follow: createFollow({ hub, sessions }),
    poll: (scope) => counters.poll(scope),
    stats() {
      const { connectionsByCompany, isDraining } = hub.stats();
      return { connectionsByCompany, isDraining };
    },
  };
}

/** Calls back once, when it is written to or ended, and is out of the way from then on. */
function onFirstWrite(sink: Sink, callback: () => void): void {
  const { write, end } = sink;
  const begin = () => {
    Object.assign(sink, { write, end });
    callback();
  };
  sink.write = (bytes) => {
    begin();
    return write.call(sink, bytes);
  };
  sink.end = (reason) => {
    begin();
    end.call(sink, reason);
  };
}
