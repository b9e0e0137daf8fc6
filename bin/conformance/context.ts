/** What a check works with: streams that are closed for it, events it can recognise, and what is known of the server. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, ask, type RequestOptions } from "./http.ts";
import type { Outgoing } from "./publishers.ts";
import type { SseEvent } from "./sse-parser.ts";
import { openStream, type SseStream } from "./sse-reader.ts";
import type { Stream } from "./stream.ts";
import { type Profile, routeUrl, streamUrl, type Target } from "./target.ts";
import { openSocket, type SocketStream } from "./ws-reader.ts";

/** What the first look at the server found. */
export interface Learned {
  readonly profile: Profile;
  /** Why the company's stream does not open; undefined when it does. */
  readonly streamProblem: string | undefined;
  /** Health says that streaming is switched off. */
  readonly disabled: boolean;
  /** Why published events cannot be used; undefined when they arrive. */
  readonly publishProblem: string | undefined;
  /** Events arrive, published or not. */
  readonly hasTraffic: boolean;
  /** The events seen carry ids, and the type they were published with. */
  readonly hasIds: boolean;
  readonly keepsTypes: boolean;
}

/** An event that is found again by the mark in its data. */
export interface Marked extends Outgoing {
  readonly mark: string;
}

export interface OpenOptions {
  readonly company?: string;
  /** The `Last-Event-ID` header. */
  readonly lastEventId?: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default the target's; null sends none. */
  readonly token?: string | null;
}

export interface OpenPathOptions extends Pick<OpenOptions, "lastEventId" | "token"> {
  /** JSON, posted. */
  readonly body?: string;
}

export interface Context {
  readonly target: Target;
  readonly learned: Learned;
  /** How long an event that is due may take, milliseconds. */
  readonly waitMs: number;
  /** Opens the company's stream as a browser does. Throws when it does not answer 200 with an event stream. */
  open(options?: OpenOptions): Promise<SseStream>;
  /** Asks for the stream and takes any answer. */
  askStream(options?: OpenOptions & { readonly method?: string; readonly body?: string }): Promise<Answer>;
  /** Opens the company's WebSocket. Throws when it is refused. */
  openSocket(options?: OpenOptions): Promise<SocketStream>;
  /** Opens another stream, or WebSocket, of the company's; throws when it is refused. The options are a stream's. */
  openPath(path: `/ws/${string}`): Promise<SocketStream>;
  openPath(path: string, options?: OpenPathOptions): Promise<SseStream>;
  /** Asks for a WebSocket and takes the answer; an upgrade that is granted is status 101, and closed at once. */
  askSocket(options?: OpenOptions): Promise<Answer>;
  /** Asks for another route, with the token. */
  askRoute(
    path: string,
    options?: { readonly token?: string | null } & Pick<RequestOptions, "method" | "headers" | "body">,
  ): Promise<Answer>;
  /** Events to publish, each with a mark of its own. `data` are further members of the payload. */
  make(
    count: number,
    options?: { readonly type?: string; readonly company?: string; readonly data?: Record<string, unknown> },
  ): Marked[];
  publish(events: readonly Outgoing[], company?: string): Promise<void>;
  /**
   * Publishes without a pause, in small batches, until told to stop, and returns what was published. `meanwhile` runs beside it; what it throws
   * is thrown.
   */
  publishUntil(
    stop: () => boolean,
    options?: { readonly meanwhile?: () => Promise<void> },
  ): Promise<Marked[]>;
  /** The marks of this run, in the order of the events. */
  marksOf(events: readonly Pick<SseEvent, "data">[]): string[];
  /** True once every one of the events has come on the stream. */
  arrived(stream: Stream, events: readonly Marked[], timeoutMs?: number): Promise<boolean>;
  /** The same, behind a replay that may be of any length: also true when that is still going on. */
  arrivedAfterReplay(stream: Stream, events: readonly Marked[]): Promise<boolean>;
  /** Resolves when the checks that run in the foreground are over. */
  readonly othersDone: Promise<void>;
  /** Lets what should not come have its chance. */
  settle(): Promise<void>;
  /** Closes every stream opened through it. */
  close(): void;
}

const HEADER_TIMEOUT_MS = 5_000;
/** Millrace's alone, so that no other server is asked for it. */
const SOCKET_PATH = "/ws/updates";
/** The type of events that need none in particular. */
export const PROBE_TYPE = "conformance.probe";

export function createContext(
  target: Target,
  learned: Learned,
  othersDone: Promise<void> = Promise.resolve(),
): Context {
  const runId = newRunId();
  const streams: Stream[] = [];
  const markPattern = new RegExp(`mk-${runId}-\\d{6}`);
  const waitMs = Math.min(5_000, target.patienceMs);
  const timeoutMs = Math.min(HEADER_TIMEOUT_MS, target.patienceMs);
  let made = 0;
  let isClosed = false;

  const authorization = (token: string | null | undefined): Record<string, string> => {
    const used = token === undefined ? target.token : token;
    return used ? { authorization: `Bearer ${used}` } : {};
  };
  const request = ({ company = target.company, lastEventId, query, headers, token }: OpenOptions) => ({
    url: streamUrl(target, company, query),
    headers: {
      accept: "text/event-stream",
      ...authorization(token),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
      ...headers,
    },
  });

  const socketRequest = (options: OpenOptions) => {
    const { url, headers } = request(options);
    const { accept: _, ...rest } = headers as Record<string, string>;
    const path = routeUrl(target, SOCKET_PATH);
    path.search = url.search;
    return [path, { headers: rest, timeoutMs }] as const;
  };

  const make: Context["make"] = (count, { type = PROBE_TYPE, company = target.company, data = {} } = {}) =>
    Array.from({ length: count }, () => {
      // Of one width, so that no mark is the beginning of another.
      const mark = `mk-${runId}-${String(++made).padStart(6, "0")}`;
      return { mark, type, data: JSON.stringify({ companyId: company, conformance: mark, ...data }) };
    });
  const publish: Context["publish"] = async (events, company = target.company) => {
    await target.publisher?.publish(company, events);
  };

  const arrived: Context["arrived"] = (stream, events, forMs = waitMs) => {
    const missing = new Set(events.map(({ mark }) => mark));
    let next = 0;
    return stream.until(() => {
      for (; next < stream.parsed.events.length; next++) {
        const mark = markPattern.exec(stream.parsed.events[next]!.data)?.[0];
        if (mark) missing.delete(mark);
      }
      return missing.size === 0;
    }, forMs);
  };

  /** To be closed with the context; a check that goes on after its time gets nothing more. */
  const keep = (stream: Stream) => {
    if (isClosed) stream.close();
    else streams.push(stream);
  };

  const openPath = async (path: string, { token, lastEventId, body }: OpenPathOptions = {}) => {
    const url = routeUrl(target, path);
    url.searchParams.set(target.companyParam, target.company);
    const headers = {
      ...authorization(token),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    };
    const posted =
      body === undefined ? {} : { method: "POST", body, headers: { "content-type": "application/json" } };
    const opened = path.startsWith("/ws/")
      ? await openSocket(url, { headers, timeoutMs })
      : await openStream(url, {
          ...posted,
          headers: { accept: "text/event-stream", ...headers, ...posted.headers },
          timeoutMs,
        });
    if (!("parsed" in opened) || ("status" in opened && opened.status !== 200))
      throw new Error(`${path} answered ${(opened as { status: number }).status}, expected it to open`);
    keep(opened);
    return opened;
  };

  return {
    target,
    learned,
    waitMs,
    othersDone,
    make,
    publish,
    async open(options = {}) {
      const { url, headers } = request(options);
      const stream = await openStream(url, { headers, timeoutMs });
      keep(stream);
      if (stream.status !== 200 || !stream.isEventStream) {
        const type = stream.headers["content-type"] ?? "no content-type";
        throw new Error(
          `${url.pathname} answered ${stream.status} (${type}), expected 200 and text/event-stream`,
        );
      }
      // Elsewhere a client may be counted in only after its headers went out; Millrace promises better (live.from-headers).
      if (learned.profile === "sse") await sleep(50);
      return stream;
    },
    askStream({ method = "GET", body, ...options } = {}) {
      const { url, headers } = request(options);
      return ask(url, { method, headers, timeoutMs: 3_000, ...(body === undefined ? {} : { body }) });
    },
    async openSocket(options = {}) {
      const opened = await openSocket(...socketRequest(options));
      if ("status" in opened) {
        throw new Error(`${SOCKET_PATH} answered ${opened.status} ${opened.text}, expected the upgrade`);
      }
      keep(opened);
      return opened;
    },
    openPath: openPath as Context["openPath"],
    async askSocket(options = {}) {
      const opened = await openSocket(...socketRequest(options));
      if ("status" in opened) return opened;
      opened.close();
      return { status: 101, headers: opened.headers, text: "", ended: false, json: undefined };
    },
    askRoute(path, { token, headers, ...more } = {}) {
      return ask(routeUrl(target, path), {
        ...more,
        headers: { accept: "application/json", ...authorization(token), ...headers },
        timeoutMs,
      });
    },
    async publishUntil(stop, { meanwhile = async () => {} } = {}) {
      const published: Marked[] = [];
      const beside = meanwhile();
      beside.catch(() => {});
      while (!stop()) {
        const batch = make(5);
        await publish(batch);
        published.push(...batch);
        await sleep(4);
      }
      await beside;
      return published;
    },
    marksOf: (events) => events.flatMap(({ data }) => markPattern.exec(data)?.[0] ?? []),
    arrived,
    async arrivedAfterReplay(stream, events) {
      const endMs = performance.now() + target.patienceMs;
      while (performance.now() < endMs) {
        const had = stream.parsed.events.length;
        if (await arrived(stream, events)) return true;
        if (stream.parsed.events.length === had) return false;
      }
      return true;
    },
    settle: () => sleep(150),
    close() {
      isClosed = true;
      for (const stream of streams.splice(0)) stream.close();
    },
  };
}

/** Marks one run's events off from those of another on the same log. */
export function newRunId(): string {
  return randomBytes(5).toString("hex");
}
