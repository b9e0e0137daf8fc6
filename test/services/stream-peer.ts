/** One client of a stream of services, that can stop reading. */
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { waitFor } from "../support/wait.ts";

export interface Heard {
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

export interface StreamPeer extends Disposable {
  /** The newest `keep`; `count` says how many there were. */
  readonly heard: readonly Heard[];
  readonly count: () => number;
  readonly isEnded: () => boolean;
  pause(): void;
  resume(): void;
  until(what: string, test: (heard: Heard) => boolean): Promise<Heard>;
}

export function openPeer(
  url: string,
  path: string,
  { token, lastEventId, keep = 20_000 }: { token: string; lastEventId?: string | undefined; keep?: number },
): StreamPeer {
  const heard: Heard[] = [];
  let count = 0;
  let isEnded = false;
  let isPaused = false;
  let response: IncomingMessage | undefined;
  let rest = "";
  const take = (text: string) => {
    const frames = (rest + text).split("\n\n");
    rest = frames.pop()!;
    for (const frame of frames) {
      const lines = frame.split("\n");
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data === undefined) continue;
      count++;
      heard.push({ event: field("event"), id: field("id"), data: JSON.parse(data), atMs: Date.now() });
      if (heard.length > keep) heard.shift();
    }
  };
  const asked: ClientRequest = request(url + path, {
    agent: false,
    headers: {
      accept: "text/event-stream",
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    },
  });
  asked.on("response", (given) => {
    response = given.setEncoding("utf8");
    if (isPaused) given.pause();
    given.on("data", take);
    given.on("close", () => {
      isEnded = true;
    });
    given.on("error", () => {});
  });
  asked.on("error", () => {
    isEnded = true;
  });
  asked.end();
  return {
    heard,
    count: () => count,
    isEnded: () => isEnded,
    pause() {
      isPaused = true;
      response?.pause();
    },
    resume() {
      isPaused = false;
      response?.resume();
    },
    until: (what, test) =>
      waitFor(`${what}, have ${JSON.stringify(heard.slice(-3))}`, () => heard.find(test), {
        timeoutMs: 20_000,
      }),
    [Symbol.dispose]() {
      asked.destroy();
    },
  };
}
