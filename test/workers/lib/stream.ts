/** One stream as a client that comes back has it: every event that came, whichever connection it came over. */

export interface StreamEvent {
  readonly type: string;
  readonly data: { readonly companyId: string; readonly n: number };
}

export interface Stream extends AsyncDisposable {
  readonly events: readonly StreamEvent[];
  /** Numbers of the events. */
  numbers(): number[];
  /** Answers so far: status and headers of each. */
  readonly answers: readonly Response[];
  /** Frames of all kinds, as text, without the empty line. */
  readonly frames: readonly string[];
  /** Leaves; resolves when the connection is closed on this side. */
  leave(): Promise<void>;
}

const COME_BACK_MS = 50;

/** `path` with its query. It comes back with its last cursor until it leaves. */
export function openStream(url: string, path: string, headers: Record<string, string> = {}): Stream {
  const left = new AbortController();
  const events: StreamEvent[] = [];
  const frames: string[] = [];
  const answers: Response[] = [];
  let lastEventId: string | undefined;

  const read = (frame: string) => {
    frames.push(frame);
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1];
    lastEventId = field("id") ?? lastEventId;
    const data = field("data");
    if (data !== undefined) events.push({ type: field("event") ?? "", data: JSON.parse(data) });
  };

  const connect = async () => {
    const answer = await fetch(url + path, {
      headers: {
        accept: "text/event-stream",
        ...headers,
        ...(lastEventId ? { "last-event-id": lastEventId } : {}),
      },
      signal: left.signal,
    });
    answers.push(answer);
    let rest = "";
    for await (const text of answer.body!.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n\n");
      rest = parts.pop()!;
      for (const frame of parts) read(frame);
    }
  };
  const stay = (async () => {
    while (!left.signal.aborted) {
      await connect().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, COME_BACK_MS));
    }
  })();
  const leave = async () => {
    left.abort();
    await stay;
  };
  return {
    events,
    // A refusal that passes is an event too, and has none.
    numbers: () => events.map(({ data }) => data.n).filter((n) => n !== undefined),
    answers,
    frames,
    leave,
    [Symbol.asyncDispose]: leave,
  };
}
