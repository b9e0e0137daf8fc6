/** The id of an event of the stream, whatever a system's ids look like: where a client that missed the rest resumes. */

import type { PublisherCalls } from "./publisher.ts";
import { COMPANY, type RunningSystem } from "./systems.ts";
import type { Worker } from "./worker.ts";

const TIMEOUT_MS = 10_000;

/** Publishes one event, reads it as a client does, and returns its id. The publisher is then open on the system. */
export async function publishAnchor(
  publisher: Worker<PublisherCalls>,
  system: RunningSystem,
): Promise<string> {
  await publisher.call("open", system.publish, COMPANY);
  const { host, port, path, headers } = system.stream();
  const abort = AbortSignal.timeout(TIMEOUT_MS);
  const leave = new AbortController();
  const response = await fetch(`http://${host}:${port}${path}`, {
    headers: { Accept: "text/event-stream", ...headers },
    signal: AbortSignal.any([abort, leave.signal]),
  });
  if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`);
  const published = publisher.call("publishNow", 1);
  let text = "";
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const frame = text.split("\n\n").find((part) => part.includes("metricName"));
      const id = frame && /^id: ?(.+)$/m.exec(frame)?.[1];
      if (id && text.includes(`${frame}\n\n`)) return id;
    }
    throw new Error(`The stream ended before an event came: ${text.slice(0, 300)}`);
  } finally {
    leave.abort();
    await published;
  }
}
