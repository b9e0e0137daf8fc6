/** Live in this process: its hub, its counters, its sinks. */
import { acceptsGzip } from "../core/accepts-gzip.ts";
import type { Deflate } from "../core/gzip.ts";
import { JSON_LINES } from "../core/json-lines.ts";
import { RETRY_MS } from "../core/limits.ts";
import { EVENT_STREAM_HEADERS, SSE } from "../core/sse.ts";
import type { Counters, SnapshotSink } from "../ports/counters.ts";
import type { EventStreamRequest, OpenEventStream } from "../ports/event-stream.ts";
import type { Hub, Membership, Sink } from "../ports/hub.ts";
import {
  type Live,
  type LiveRequest,
  type SnapshotsRequest,
  scopeOf,
  type UpdatesRequest,
} from "../ports/live.ts";
import type { Sessions } from "../ports/sessions.ts";
import type { OpenWebSocket, WebSocketSink } from "../ports/web-socket.ts";
import { gzipSink } from "./gzip-sink.ts";
import { snapshotStreamSink } from "./snapshot-stream-sink.ts";
import { lineSink, snapshotSocketSink } from "./web-socket-sink.ts";

/** Everything stays the caller's to close. */
export interface LocalLiveOptions {
  readonly hub: Hub;
  readonly counters: Counters;
  readonly sessions: Sessions;
  readonly openEventStream: OpenEventStream;
  readonly openWebSocket: OpenWebSocket;
  /** Compresses streams for clients that accept it; undefined: none is. */
  readonly deflate?: Deflate | undefined;
}

type Headers = Readonly<Record<string, string>>;

export function createLocalLive(options: LocalLiveOptions): Live {
  const { hub, counters, sessions, openEventStream, openWebSocket, deflate } = options;

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

  const joinHub = (wanted: UpdatesRequest, sink: Sink) =>
    hub.join({
      company: wanted.company,
      after: wanted.after,
      types: wanted.types && new Set(wanted.types),
      encoding: wanted.transport === "sse" ? SSE : JSON_LINES,
      format: wanted.format,
      overflow: wanted.overflow,
      sink,
    });
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

  const overStream = async (request: EventStreamRequest, wanted: LiveRequest, headers: Headers) => {
    const { onGone, joined } = connect(wanted);
    const begun = Promise.withResolvers<void>();
    const gone = () => {
      onGone();
      begun.resolve();
    };
    const { sink, response } = openStream(request, { ...EVENT_STREAM_HEADERS, ...headers }, gone);
    if (wanted.kind !== "updates") {
      sink.write(SSE.retry(RETRY_MS));
      joined(watch(wanted, snapshotStreamSink(sink, wanted.kind)));
      return response;
    }
    onFirstWrite(sink, begun.resolve);
    joined(joinHub(wanted, sink));
    // A client takes the headers for a promise that what is published from here on comes. The hub writes when it can keep it.
    await begun.promise;
    return response;
  };

  /** The handshake is no such promise: the first message is. */
  const overSocket = (request: EventStreamRequest, wanted: LiveRequest, headers: Headers) => {
    const { onGone, joined } = connect(wanted);
    const { sink, response } = openWebSocket(request, headers, onGone);
    joined(joinOver(sink, wanted));
    return response;
  };
  const joinOver = (sink: WebSocketSink, wanted: LiveRequest) =>
    wanted.kind === "updates" ? joinHub(wanted, lineSink(sink)) : watch(wanted, snapshotSocketSink(sink));

  return {
    async open(request, wanted, headers) {
      const refused =
        wanted.kind === "updates"
          ? hub.refusal(wanted.company, wanted.maxConnections)
          : counters.refusal(wanted.scope, wanted.maxConnections);
      if (refused !== undefined) return refused;
      return wanted.transport === "sse"
        ? overStream(request, wanted, headers)
        : overSocket(request, wanted, headers);
    },
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
