/** Clients of a stream behind nginx: over HTTP/1.1 and over HTTP/2 with TLS, and one that comes back as a browser does. */
import { once } from "node:events";
import { connect } from "node:http2";
import { createSseParser, type SseParser } from "../../bin/conformance/sse-parser.ts";
import { openStream } from "../../bin/conformance/sse-reader.ts";

export interface OpenStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly parsed: SseParser;
  readonly ended: boolean;
  close(): void;
}
export type Open = (lastEventId?: string) => Promise<OpenStream>;

export interface ClientOptions {
  readonly origin: string;
  readonly company: string;
  readonly token: string;
}

const pathOf = (company: string) => `/stream/updates?companyId=${company}`;
const headersOf = (token: string, lastEventId?: string) => ({
  accept: "text/event-stream",
  authorization: `Bearer ${token}`,
  ...(lastEventId ? { "last-event-id": lastEventId } : {}),
});

export const http1 =
  ({ origin, company, token }: ClientOptions): Open =>
  (lastEventId) =>
    openStream(new URL(pathOf(company), origin), {
      headers: headersOf(token, lastEventId),
      timeoutMs: 5_000,
    });

export const http2 =
  ({ origin, company, token, ca }: ClientOptions & { readonly ca: string }): Open =>
  async (lastEventId) => {
    const session = connect(origin, { ca });
    session.on("error", () => {});
    const request = session.request({ ":path": pathOf(company), ...headersOf(token, lastEventId) });
    const parsed = createSseParser();
    let ended = false;
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => parsed.push(chunk, performance.now()));
    request.once("close", () => {
      ended = true;
      session.destroy();
    });
    const [headers] = (await once(request, "response")) as [Record<string, string | number>];
    return {
      status: Number(headers[":status"]),
      headers: headers as Record<string, string>,
      parsed,
      get ended() {
        return ended;
      },
      // As a tab is closed: the stream is reset, the session may stay.
      close: () => request.close(8),
    };
  };

export interface Follower extends Disposable {
  /** The numbers of its events, in the order they came. */
  readonly numbers: readonly number[];
  /** Types of events that are none of a company. */
  readonly notices: readonly string[];
  /** Streams it has had, refusals too. */
  readonly opened: number;
  /** What was answered that was no stream. */
  readonly problems: readonly string[];
}

/** Comes back by Last-Event-ID whenever its stream ends, after `backMs`. */
export function follow(open: Open, backMs = 50): Follower {
  const numbers: number[] = [];
  const notices: string[] = [];
  const problems: string[] = [];
  let lastEventId: string | undefined;
  let opened = 0;
  let isDone = false;
  let timer: NodeJS.Timeout | undefined;
  let current: OpenStream | undefined;
  let taken = 0;

  const take = () => {
    if (current === undefined) return;
    for (const { data, type, lastEventId: id } of current.parsed.events.slice(taken)) {
      taken++;
      if (id === "" || type === "draining" || type === "gap") notices.push(type);
      else numbers.push((JSON.parse(data) as { n: number }).n);
    }
    lastEventId = current.parsed.lastEventId || lastEventId;
  };
  const look = async () => {
    if (isDone) return;
    const hasEnded = current?.ended ?? true;
    take();
    if (hasEnded) {
      current = undefined;
      taken = 0;
      const next = await open(lastEventId).catch((error: Error) => void problems.push(error.message));
      if (isDone) next?.close();
      else if (next && next.status === 200) {
        opened++;
        current = next;
      } else if (next) {
        problems.push(`answered ${next.status}`);
        next.close();
      }
    }
    if (!isDone) timer = setTimeout(() => void look(), current === undefined ? backMs : 10);
  };
  void look();
  return {
    numbers,
    notices,
    problems,
    get opened() {
      return opened;
    },
    [Symbol.dispose]() {
      isDone = true;
      clearTimeout(timer);
      current?.close();
    },
  };
}
