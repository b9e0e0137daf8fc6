/**
 * One SUBSCRIBE over Redis's REST interface: `POST /subscribe/<channel>` answers with an event stream of `data: subscribe,<channel>,1`
 * and then `data: message,<channel>,<payload>` (Upstash, REST API). Read with `fetch` and not by @upstash/redis 1.39, whose `subscribe`
 * reports neither an end nor an error and does not escape the channel.
 */
import { describeError } from "./errors.ts";

/** Characters of a line: a wake-up carries at most WAKE_UP_BYTES, so this is a server that speaks something else. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;

export interface RedisRestStreamOptions {
  /** Of the REST interface, without a slash at its end. */
  readonly url: string;
  readonly token: string;
  readonly channel: string;
  /** Milliseconds until the server must have confirmed. */
  readonly deadlineMs: number;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Payloads have no line break: what is behind one would be lost. */
  readonly message: (payload: string) => void;
  /** A comment came: the server says that it is there, so its silence means something. */
  readonly comment: () => void;
}

/** A subscription that the server has confirmed. */
export interface RedisRestStream {
  /** When the last bytes came, by `performance.now()`. */
  heardMs(): number;
  /** Aborts when the stream has ended; its reason is a text. */
  readonly ended: AbortSignal;
  /** @param reason Becomes the reason of `ended`. */
  close(reason: string): void;
}

/** Why there is no stream. `unsupported`: this server has no SUBSCRIBE, or none left; `refused`: it does not let us in; `unavailable`: perhaps later. */
export interface NoRedisRestStream {
  readonly kind: "unsupported" | "refused" | "unavailable";
  readonly reason: string;
}

/** Never rejects. */
export async function openRedisRestStream(
  options: RedisRestStreamOptions,
): Promise<({ readonly kind: "open" } & RedisRestStream) | NoRedisRestStream> {
  const { url, token, channel, deadlineMs, signal, message, comment } = options;
  const aborting = new AbortController();
  const ended = new AbortController();
  const confirmed = Promise.withResolvers<"open" | NoRedisRestStream>();
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let heardMs = performance.now();

  const end = (reason: string) => {
    if (ended.signal.aborted) return;
    clearTimeout(deadline);
    signal.removeEventListener("abort", onAbort);
    ended.abort(reason);
    confirmed.resolve({ kind: "unavailable", reason });
    aborting.abort();
    // Deno goes on streaming after an abort.
    reader?.cancel().catch(() => {});
  };
  const onAbort = () => end("the subscription is closed");
  const deadline = setTimeout(() => end(`no confirmation in ${deadlineMs} ms`), deadlineMs);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();

  const [confirmation, prefix] = [`subscribe,${channel},`, `message,${channel},`];
  const takeLine = (line: string) => {
    if (line.startsWith(":")) return comment();
    if (!line.startsWith("data:")) return;
    const text = line.slice(line.startsWith("data: ") ? 6 : 5);
    if (text.startsWith(prefix)) message(text.slice(prefix.length));
    else if (text.startsWith(confirmation)) {
      clearTimeout(deadline);
      confirmed.resolve("open");
    }
  };

  const run = async () => {
    const response = await fetch(`${url}/subscribe/${encodeURIComponent(channel)}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      signal: aborting.signal,
    });
    const { status, body, headers } = response;
    if (status !== 200 || body === null || !headers.get("content-type")?.startsWith("text/event-stream")) {
      const reason = `HTTP ${status} ${errorText(await response.text())}`.trim();
      confirmed.resolve({ kind: kindOf(status), reason });
      return reason;
    }
    reader = body.getReader();
    await readLines(reader, takeLine, () => {
      heardMs = performance.now();
    });
    return "the server ended the stream";
  };
  run().then(end, (error: unknown) => end(reasonOf(error)));

  const outcome = await confirmed.promise;
  if (outcome !== "open") return outcome;
  return { kind: "open", heardMs: () => heardMs, ended: ended.signal, close: end };
}

/** Calls `take` with each line as soon as its end is there, and `heard` whenever bytes came. */
async function readLines(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  take: (line: string) => void,
  heard: () => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const looked = rest.length;
    rest += decoder.decode(value, { stream: true });
    let from = 0;
    for (let at = rest.indexOf("\n", looked); at >= 0; at = rest.indexOf("\n", from)) {
      take(rest.slice(from, rest[at - 1] === "\r" ? at - 1 : at));
      from = at + 1;
    }
    rest = rest.slice(from);
    if (rest.length > MAX_LINE_CHARS) throw new Error(`a line of over ${MAX_LINE_CHARS} characters`);
  }
}

function kindOf(status: number): NoRedisRestStream["kind"] {
  if (status === 401 || status === 403) return "refused";
  // 200 that is no event stream: a server that took it for a command. 429: commands may still be let in.
  return [200, 400, 404, 405, 429, 501].includes(status) ? "unsupported" : "unavailable";
}

/** The `error` of a JSON answer. */
function errorText(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error.slice(0, 200) : "";
  } catch {
    return "";
  }
}

/** Node's `fetch` says what went wrong in the cause only. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError) return cause.errors.map(describeError).join(", ");
  return describeError(cause instanceof Error ? cause : error);
}
