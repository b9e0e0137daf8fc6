/** Refusals that will pass: a browser must be able to come back from them. Runs against a server with streaming switched off. */
import { type Check, fail, MILLRACE, pass } from "../check.ts";
import { show } from "../sse-parser.ts";
import { openStream } from "../sse-reader.ts";
import { streamUrl } from "../target.ts";

const area = "refusal";
const source =
  "WHATWG HTML 9.2.3 (any status but 200 fails the connection for good); Millrace PROTOCOL, streams (refusals)";

export const refusalChecks: readonly Check[] = [
  {
    id: "refusal.stream",
    area,
    title: "An EventSource is told to come back: 200, retry, one event naming the reason, and a close",
    source,
    levels: MILLRACE,
    needs: ["disabled"],
    async run({ target }) {
      const authorization: Record<string, string> = target.token
        ? { authorization: `Bearer ${target.token}` }
        : {};
      const stream = await openStream(streamUrl(target, target.company), {
        headers: { accept: "text/event-stream", ...authorization },
        timeoutMs: 3_000,
      });
      try {
        await stream.until(() => stream.ended, 3_000);
        if (stream.status !== 200 || !stream.isEventStream)
          return fail(
            `status ${stream.status}, ${stream.headers["content-type"]}, expected a 200 event stream`,
          );
        if (!stream.ended) return fail("the stream was left open, expected a close");
        const { blocks, events } = stream.parsed;
        const retry = blocks.flatMap(({ fields }) => fields).find(([name]) => name === "retry")?.[1];
        if (retry === undefined) return fail("no retry field, expected one");
        if (events.length !== 1) return fail(`${events.length} events, expected one that names the reason`);
        const { type, data } = events[0]!;
        return type === "error" || type === "message"
          ? fail(`the event is of type ${type}, expected a name of its own`)
          : pass(`retry: ${retry}, event: ${type}, data: ${show(data)}`);
      } finally {
        stream.close();
      }
    },
  },
  {
    id: "refusal.status",
    area,
    title: "A client that does not accept event streams gets 429 or 503 with Retry-After",
    source: "RFC 9110 15.6.4, 10.2.3; Millrace PROTOCOL, streams (refusals)",
    levels: MILLRACE,
    needs: ["disabled"],
    async run(context) {
      const answer = await context.askStream({ headers: { accept: "application/json" } });
      if (answer.status !== 503 && answer.status !== 429)
        return fail(`status ${answer.status}, expected 429 or 503`);
      return /^\d+$/.test(answer.headers["retry-after"] ?? "")
        ? pass(`${answer.status}, retry-after: ${answer.headers["retry-after"]}`)
        : fail(`retry-after: ${answer.headers["retry-after"]}, expected seconds`);
    },
  },
];
