/** The stream's bytes: content type, first frames, encoding, fields, payloads. */
import { type Check, fail, MILLRACE, MUST, notRun, PROMISED, pass, verdict } from "../check.ts";
import { sameJson } from "../compare.ts";
import type { Context, Marked } from "../context.ts";
import { isEventStream, parseJson } from "../http.ts";
import { type SseEvent, show } from "../sse-parser.ts";

const area = "wire";

/** Publishes on a fresh stream and returns the event that carries it, or what went wrong. */
async function receive(context: Context, event: Marked): Promise<SseEvent | string> {
  const stream = await context.open();
  await context.publish([event]);
  const came = await context.arrived(stream, [event]);
  if (!came) return `the event did not arrive within ${context.waitMs} ms`;
  await context.settle();
  const found = stream.parsed.events.filter(({ data }) => data.includes(event.mark));
  return found.length === 1 ? found[0]! : `the event came ${found.length} times, expected once`;
}

export const wireChecks: readonly Check[] = [
  {
    id: "wire.content-type",
    area,
    title: "The stream answers 200 with text/event-stream, in UTF-8",
    source: "WHATWG HTML 9.2.3, 9.2.5",
    levels: MUST,
    needs: [],
    async run(context) {
      const answer = await context.askStream();
      const type = answer.headers["content-type"] ?? "(none)";
      const charset = /;\s*charset="?([^";]+)/i.exec(type)?.[1];
      const seen = `status ${answer.status}, content-type: ${type}`;
      if (answer.status !== 200 || !isEventStream(answer))
        return fail(`${seen}, expected 200 and text/event-stream`);
      const isUtf8 = charset === undefined || /^utf-?8$/i.test(charset.trim());
      return isUtf8 ? pass(seen) : fail(`${seen}; an event stream is UTF-8 only`);
    },
  },
  {
    id: "wire.content-type-exact",
    area,
    title: "The content type is text/event-stream without parameters",
    source: "Millrace PROTOCOL, streams",
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open();
      const type = headers["content-type"];
      return verdict(
        type === "text/event-stream" ? undefined : `content-type: ${type}, expected text/event-stream`,
        `content-type: ${type}`,
      );
    },
  },
  {
    id: "wire.first-bytes",
    area,
    title: "First bytes come at once, before any event",
    source: "Millrace PROTOCOL, streams (some runtimes and proxies hold the headers until the first bytes)",
    levels: PROMISED,
    needs: ["stream"],
    async run(context) {
      const stream = await context.open();
      const came = await stream.until(() => stream.chunkTimesMs.length > 0, 1_000);
      if (!came) return fail("no byte within 1,000 ms of the headers, expected a first frame at once");
      return pass(
        `first bytes ${Math.max(0, Math.round(stream.chunkTimesMs[0]! - stream.openedMs))} ms after the headers`,
      );
    },
  },
  {
    id: "wire.retry",
    area,
    title: "The stream says how long to wait before a reconnect",
    source: "WHATWG HTML 9.2.6 (retry); 9.2.3 (the default is the browser's)",
    levels: PROMISED,
    needs: ["stream"],
    async run(context) {
      const stream = await context.open();
      await stream.until(() => stream.parsed.blocks.length > 0, 1_000);
      const first = stream.parsed.blocks[0]?.fields ?? [];
      const retry = stream.parsed.blocks.flatMap(({ fields }) => fields).find(([name]) => name === "retry");
      if (!retry)
        return fail(`no retry field in the first frame (${show(JSON.stringify(first))}), expected one`);
      const isFirst = first.length === 1 && first[0]?.[0] === "retry";
      if (context.learned.profile === "millrace" && !isFirst) {
        return fail(`the first frame is ${show(JSON.stringify(first))}, expected retry alone`);
      }
      return pass(`retry: ${retry[1]}`);
    },
  },
  {
    id: "wire.fields",
    area,
    title: "Every line is a field the standard knows, every block ends with a blank line",
    source: "WHATWG HTML 9.2.5",
    levels: MUST,
    needs: ["traffic"],
    async run(context) {
      const stream = await context.open();
      const events = context.make(10);
      await context.publish(events);
      if (context.target.publisher) await context.arrived(stream, events);
      else await stream.until(() => stream.parsed.events.length > 2, context.waitMs);
      await context.settle();
      // A frame of others may just be on its way; a missing blank line stays missing.
      const whole = await stream.until(() => stream.parsed.unfinished() === "", 1_000);
      const { problems, blocks } = stream.parsed;
      if (problems.length > 0) return fail(`${problems.length} breaches, the first: ${problems[0]}`);
      if (!whole) return fail(`a block without its blank line: ${show(stream.parsed.unfinished())}`);
      return pass(`${blocks.length} blocks, all well formed`);
    },
  },
  {
    id: "wire.event",
    area,
    title: "A published event arrives once, with the data it was published with",
    source: "WHATWG HTML 9.2.6",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const [event] = context.make(1, { data: { nested: { list: [1, 2.5, null, true, ""] } } });
      const got = await receive(context, event!);
      if (typeof got === "string") return fail(got);
      const same = sameJson(parseJson(got.data), JSON.parse(event!.data));
      return same
        ? pass(`data as published, ${got.data.length} characters`)
        : fail(`data was ${show(got.data)}, expected ${show(event!.data)}`);
    },
  },
  {
    id: "wire.type",
    area,
    title: "The event field carries the type the event was published with",
    source: "WHATWG HTML 9.2.6 (event)",
    levels: PROMISED,
    needs: ["publish"],
    async run(context) {
      const [event] = context.make(1, { type: "conformance.typed-1_x" });
      const got = await receive(context, event!);
      if (typeof got === "string") return fail(got);
      return verdict(
        got.type === event!.type ? undefined : `type was ${show(got.type)}, expected ${show(event!.type)}`,
        `event: ${got.type}`,
      );
    },
  },
  {
    id: "wire.id",
    area,
    title: "Every event carries an id, so that a client can resume",
    source: "WHATWG HTML 9.2.4, 9.2.6 (id)",
    levels: MUST,
    needs: ["traffic"],
    async run(context) {
      const stream = await context.open();
      const events = context.make(3);
      await context.publish(events);
      await (context.target.publisher
        ? context.arrived(stream, events)
        : stream.until(() => stream.parsed.events.length > 2, context.waitMs));
      const withEvents = stream.parsed.blocks.filter(({ event }) => event);
      const without = withEvents.filter(({ fields }) => !fields.some(([name]) => name === "id"));
      if (withEvents.length === 0) return notRun("no event came");
      return without.length === 0
        ? pass(`${withEvents.length} events, the last id ${show(stream.parsed.lastEventId)}`)
        : fail(`${without.length} of ${withEvents.length} events have no id: a reconnect cannot resume`);
    },
  },
  {
    id: "wire.text",
    area,
    title: "Text beyond ASCII arrives as it was",
    source: "WHATWG HTML 9.2.5 (UTF-8)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const text = "Zürich ✓ 日本 😀 e\u0301 \u2028 \u2029 \ufeff \u0085 end ";
      const [event] = context.make(1, { data: { text } });
      const got = await receive(context, event!);
      if (typeof got === "string") return fail(got);
      const came = (parseJson(got.data) as { text?: unknown } | undefined)?.text;
      return came === text
        ? pass(`${text.length} characters intact`)
        : fail(`text was ${show(String(came))}, expected ${show(text)}`);
    },
  },
  {
    id: "wire.large",
    area,
    title: "A payload of 100 KiB arrives whole, as one event",
    source: "Millrace PROTOCOL, events (data is at most 128 KiB)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const [event] = context.make(1, { data: { pad: "0123456789".repeat(10_240) } });
      const got = await receive(context, event!);
      if (typeof got === "string") return fail(got);
      return sameJson(parseJson(got.data), JSON.parse(event!.data))
        ? pass(`${got.data.length} characters intact`)
        : fail(`${got.data.length} characters came, expected ${event!.data.length} as published`);
    },
  },
  {
    id: "wire.verbatim",
    area,
    title: "Data that names its company comes byte for byte: large numbers, key order, escapes",
    source: "Millrace PROTOCOL, streams (data is the event's data as it came)",
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      const [made] = context.make(1);
      const data = `{"z":12345678901234567890,"a":1.10,"companyId":${JSON.stringify(context.target.company)},"conformance":"${made!.mark}","u":"\\u00fc\\/\\u0000"}`;
      const got = await receive(context, { ...made!, data });
      if (typeof got === "string") return fail(got);
      return verdict(
        got.data === data ? undefined : `data was ${got.data}, expected ${data}`,
        "data byte for byte as published",
      );
    },
  },
  {
    id: "wire.company",
    area,
    title: "The data of every event names the company of the stream",
    source: "Millrace PROTOCOL, streams (data always carries companyId)",
    levels: MILLRACE,
    needs: ["traffic"],
    async run(context) {
      const stream = await context.open();
      const [made] = context.make(1);
      // Without a company of its own: the server is to put it in.
      const event = { ...made!, data: `{"conformance":"${made!.mark}"}` };
      await context.publish([event]);
      await (context.target.publisher
        ? context.arrived(stream, [event])
        : stream.until(() => stream.parsed.events.length > 2, context.waitMs));
      const wrong = stream.parsed.events.find(
        ({ data }) =>
          (parseJson(data) as { companyId?: unknown } | undefined)?.companyId !== context.target.company,
      );
      if (stream.parsed.events.length === 0) return notRun("no event came");
      return verdict(
        wrong && `data ${show(wrong.data)} does not name the company "${context.target.company}"`,
        `${stream.parsed.events.length} events, all of ${context.target.company}`,
      );
    },
  },
];
