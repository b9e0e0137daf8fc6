/** Whose streams they are: what is shared among tabs, or kept for later, is under a name that only the same reader of the same thing comes to. */
import { parseJson } from "./item.ts";
import { reconnectDelayMs } from "./keep-open.ts";
import { sleep } from "./sleep.ts";
import type { GetToken } from "./token.ts";

/** Raised when what tabs say to each other changes: an older bundle in another tab does not understand it. */
const VERSION = 1;
/** Milliseconds before a token is asked for again, growing. */
const RETRY_MS = 3000;

export interface ReaderOptions {
  readonly getToken: GetToken | undefined;
  /** What is read. */
  readonly parts: readonly unknown[];
  /** No token could be had; asked again at that time, milliseconds since 1970. */
  onWaiting(untilMs: number): void;
}

/**
 * Calls `run` with the name of what is read, and by whom, and ends it by calling what it returned. When `getToken` gives a token of
 * somebody else, that one is ended and `run` called anew, before the token is used. The name is undefined where it cannot be made
 * (`crypto.subtle` is there over HTTPS and on localhost alone): then nothing may be shared or kept.
 */
export function asReader(
  { getToken, parts, onWaiting }: ReaderOptions,
  run: (name: string | undefined, getToken: GetToken | undefined) => () => void,
): () => void {
  const closing = new AbortController();
  const { signal } = closing;
  let end = (): void => {};

  async function begin(): Promise<void> {
    let token: string | undefined;
    for (let failures = 1; ; failures++) {
      try {
        token = await getToken?.("connect");
        break;
      } catch {
        const delayMs = reconnectDelayMs(RETRY_MS, failures, Math.random);
        onWaiting(Date.now() + delayMs);
        await sleep(delayMs, signal);
        if (signal.aborted) return;
      }
    }
    const reader = readerOf(token);
    const name = await hash([VERSION, reader, ...parts]);
    if (signal.aborted) return;
    let unused = token;
    let isOver = false;
    const stop = run(
      name,
      getToken &&
        (async (why) => {
          const next = (why === "connect" && unused) || (await getToken(why));
          unused = undefined;
          if (readerOf(next) === reader) return next;
          if (!isOver && !signal.aborted) {
            end();
            void begin();
          }
          throw new Error("another reader");
        }),
    );
    end = () => {
      isOver = true;
      stop();
    };
    // Closed by what `run` called.
    if (signal.aborted) end();
  }
  void begin();

  return () => {
    closing.abort();
    end();
  };
}

/** Issuer and subject of a JWT, which stay when it is renewed; of another token, or without a subject, the token itself. Unchecked: the server alone decides. */
function readerOf(token: string | undefined): string {
  try {
    const payload = (token ?? "").split(".")[1] ?? "";
    const { iss, sub } = Object(parseJson(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))));
    if (typeof sub === "string" && sub) return JSON.stringify([iss, sub]);
  } catch {}
  return token ?? "";
}

async function hash(parts: readonly unknown[]): Promise<string | undefined> {
  try {
    const bytes = new TextEncoder().encode(JSON.stringify(parts));
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return `millrace:${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
  } catch {
    return undefined;
  }
}
