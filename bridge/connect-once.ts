/** What making a connection to a broker has in common where the client library cannot be told to stop. */

/**
 * Waits for the connection.
 * @param close Closes one that comes after the abort.
 * @returns undefined when the signal aborted first.
 */
export async function unlessAborted<Connection>(
  connecting: Promise<Connection>,
  signal: AbortSignal,
  close: (connection: Connection) => Promise<void>,
): Promise<Connection | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => aborted.resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([connecting, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted) connecting.then(close, () => {});
  }
}

/** Of a URL, percent-decoded; as it is when it holds a percent sign that escapes nothing. */
export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
