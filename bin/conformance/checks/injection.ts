/** Injection: what is in an event stays in it (WHATWG HTML 9.2.5: a line ends with CR, LF or CRLF). */
import { type Check, fail, MILLRACE, MUST, notRun, pass, verdict } from "../check.ts";
import { sameJson } from "../compare.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";

const area = "injection";

/** Valid JSON all: a raw line break is white space between tokens (RFC 8259 section 2). */
const PAYLOADS: readonly (readonly [name: string, json: (head: string) => string])[] = [
  ["line feeds", (head) => `{\n${head},\n"a":1\n}`],
  ["carriage returns", (head) => `{\r${head},\r"a":1\r}`],
  ["CRLF", (head) => `{\r\n${head},\r\n"a":1\r\n}`],
  ["an empty line of LF", (head) => `{${head},\n\n"a":1}`],
  ["an empty line of CR", (head) => `{${head},\r\r"a":1}`],
  ["an empty line of CRLF", (head) => `{${head},\r\n\r\n"a":1}`],
  [
    "escaped line breaks and fields",
    (head) => `{${head},"a":"\\n\\nevent: evil\\nid: evil\\ndata: evil\\r\\r"}`,
  ],
  ["U+2028 and U+2029", (head) => `{${head},"a":"x\u2028data: evil\u2029y"}`],
  ["an escaped U+0000", (head) => `{${head},"a":"x\\u0000y"}`],
  ["leading spaces and colons", (head) => `  {${head},"a":": x"}`],
];

export const injectionChecks: readonly Check[] = [
  {
    id: "injection.data",
    area,
    title: "Line breaks in a payload neither end its event nor start a field",
    source: "WHATWG HTML 9.2.5, 9.2.6",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const stream = await context.open();
      const events = context.make(PAYLOADS.length).map((event, index) => {
        const head = `"companyId":${JSON.stringify(context.target.company)},"conformance":"${event.mark}"`;
        return { ...event, data: PAYLOADS[index]![1](head) };
      });
      await context.publish(events);
      await context.arrived(stream, events);
      await context.settle();
      for (const [index, event] of events.entries()) {
        const name = PAYLOADS[index]![0];
        const got = stream.parsed.events.filter(({ data }) => data.includes(event.mark));
        if (got.length !== 1)
          return fail(`${name}: the event came ${got.length} times, expected once, whole`);
        if (!sameJson(parseJson(got[0]!.data), JSON.parse(event.data))) {
          return fail(`${name}: data was ${show(got[0]!.data)}, expected ${show(event.data)}`);
        }
      }
      const { problems } = stream.parsed;
      return verdict(problems[0] && `the stream has ${problems[0]}`, `${events.length} payloads intact`);
    },
  },
  {
    id: "injection.text",
    area,
    title: "A payload that is plain text with line breaks cannot forge an event",
    source: "WHATWG HTML 9.2.5 (CR alone ends a line too)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      if (!context.target.publisher?.carriesText) return notRun("this way of publishing takes only JSON");
      const stream = await context.open();
      const breaks = ["\n", "\r", "\r\n"];
      const events = context.make(breaks.length).map((event, index) => {
        const end = breaks[index]!;
        return {
          ...event,
          data: `${event.mark}${end}id: evil${end}event: evil${end}data: evil${end}${end}data: evil`,
        };
      });
      try {
        await context.publish(events);
      } catch (error) {
        return notRun(`plain text is refused: ${error instanceof Error ? error.message : error}`);
      }
      await context.arrived(stream, events);
      await context.settle();
      const evil = stream.parsed.events.find(
        ({ type, data, lastEventId }) => type === "evil" || lastEventId === "evil" || /^evil/.test(data),
      );
      if (evil) return fail(`an event was forged: ${show(JSON.stringify(evil))}`);
      const { problems } = stream.parsed;
      return verdict(problems[0] && `the payload leaked out of its data: ${problems[0]}`, "nothing forged");
    },
  },
  {
    id: "injection.attributes",
    area,
    title: "A type or id with a line break is refused, and the next event is unharmed",
    source: "Millrace PROTOCOL, events (type is 1-64 of a-z 0-9 . _ -; what is not valid is never broadcast)",
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      if (!context.target.publisher?.carriesAnyAttribute)
        return notRun("this way of publishing cannot carry such a type");
      const stream = await context.open();
      const [a, b, c, good] = context.make(4);
      await context.publish([
        { ...a!, type: "evil\ndata: evil" },
        { ...b!, type: "evil\revent: evil" },
        { ...c!, id: "evil\n\ndata: evil" },
        good!,
      ]);
      if (!(await context.arrived(stream, [good!])))
        return fail("the valid event behind the invalid ones never came: they block the stream");
      await context.settle();
      const evil = stream.parsed.events.find(({ type, data }) => /evil/.test(type + data));
      if (evil) return fail(`an event was forged: ${show(JSON.stringify(evil))}`);
      const came = context.marksOf(stream.parsed.events);
      return came.length === 1
        ? pass("3 refused, the next one came")
        : fail(`${came.length} events came, expected the valid one only`);
    },
  },
];
