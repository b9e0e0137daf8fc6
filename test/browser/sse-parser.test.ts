import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSseParser, type SseEvent } from "../../web/client/sse-parser.ts";

const encoder = new TextEncoder();

interface Parsed {
  events: SseEvent[];
  retries: number[];
  lastEventId: string;
}

function parse(chunks: readonly Uint8Array[], lastEventId?: string): Parsed {
  const events: SseEvent[] = [];
  const retries: number[] = [];
  const parser = createSseParser(
    { onEvent: (event) => events.push(event), onRetry: (ms) => retries.push(ms) },
    lastEventId,
  );
  for (const chunk of chunks) parser.push(chunk);
  return { events, retries, lastEventId: parser.lastEventId };
}

function parseText(...texts: string[]): Parsed {
  return parse(texts.map((text) => encoder.encode(text)));
}

/** Cuts bytes at the given places, in any order, also inside a character or between CR and LF. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...edges, bytes.length].map((edge, index) => bytes.subarray(edges[index - 1] ?? 0, edge));
}

const lineEnd = fc.constantFrom("\n", "\r", "\r\n");
const text = fc.string({ unit: "binary", maxLength: 20 }).map((raw) => raw.replace(/[\r\n\0]/g, " "));
const line = fc.oneof(
  text.map((value) => `data: ${value}`),
  text.map((value) => `data:${value}`),
  text.map((value) => `event: ${value}`),
  text.map((value) => `id: ${value}`),
  text.map((value) => `:${value}`),
  fc.constantFrom("", "", "data", "id", "event", "retry: 250", "retry: 2s", "nonsense: x", "id: a\0b"),
  text,
);
const stream = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(line, lineEnd), { maxLength: 40 }))
  .map(([bom, lines]) => encoder.encode(`${bom ? "\uFEFF" : ""}${lines.flat().join("")}`));

/** The standard read literally, on the whole text at once: what the parser is compared with. */
function readAtOnce(bytes: Uint8Array): Parsed {
  const parsed: Parsed = { events: [], retries: [], lastEventId: "" };
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\r|\n/);
  let block: { type: string; data: string; id: string | undefined } = { type: "", data: "", id: undefined };
  for (const one of lines.slice(0, -1)) {
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/su.exec(one) ?? [];
    if (one === "") {
      parsed.lastEventId = block.id ?? parsed.lastEventId;
      if (block.data !== "") {
        parsed.events.push({ type: block.type || "message", data: block.data.slice(0, -1), id: block.id });
      }
      block = { type: "", data: "", id: undefined };
    } else if (field === "data") block.data += `${value}\n`;
    else if (field === "event") block.type = value;
    else if (field === "id" && !value.includes("\0")) block.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) parsed.retries.push(Number(value));
  }
  return parsed;
}

describe("createSseParser", () => {
  test("any chunking gives what the whole text gives", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(2000), { maxLength: 30 }), (bytes, places) => {
        const whole = readAtOnce(bytes);
        expect(parse([bytes])).toEqual(whole);
        expect(parse(cut(bytes, places))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  test("one byte at a time gives what the whole text gives", () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        expect(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(readAtOnce(bytes));
      }),
    );
  });

  test("any event comes back as it was written", () => {
    const name = fc.stringMatching(/^[a-z0-9._-]{1,64}$/);
    fc.assert(
      fc.property(name, fc.json(), name, lineEnd, (type, data, id, end) => {
        const { events } = parseText([`event: ${type}`, `id: ${id}`, `data: ${data}`, "", ""].join(end));
        expect(events).toEqual([{ type, data, id }]);
      }),
    );
  });

  test.each([
    ["LF", "\n"],
    ["CR", "\r"],
    ["CRLF", "\r\n"],
  ])("%s ends a line", (_, end) => {
    expect(parseText(["event: a", "id: 1", "data: x", "data: y", "", ""].join(end)).events).toEqual([
      { type: "a", data: "x\ny", id: "1" },
    ]);
  });

  test("CR and LF in two chunks are one line end", () => {
    expect(parseText("data: x\r", "\ndata: y\r", "\n\r", "\n").events).toEqual([
      { type: "message", data: "x\ny", id: undefined },
    ]);
  });

  test("a block that ends with CR is dispatched before the next chunk", () => {
    expect(parseText("data: x\r\r").events).toHaveLength(1);
  });

  test("one leading byte order mark is dropped, a second is text", () => {
    expect(parseText("\uFEFFdata: x\n\n").events).toHaveLength(1);
    expect(parseText("\uFEFF\uFEFFdata: x\n\n").events).toHaveLength(0);
  });

  test("a character cut in two chunks is one character", () => {
    const bytes = encoder.encode("data: €😀\n\n");
    for (let place = 0; place <= bytes.length; place++) {
      expect(parse(cut(bytes, [place])).events[0]?.data).toBe("€😀");
    }
  });

  test("bytes that are not UTF-8 become replacement characters, and the next event is unharmed", () => {
    const bytes = Uint8Array.of(...encoder.encode("data: "), 0xff, ...encoder.encode("\n\ndata: ok\n\n"));
    expect(parse([bytes]).events.map(({ data }) => data)).toEqual(["\uFFFD", "ok"]);
  });

  test("one space behind the colon is dropped, no more", () => {
    expect(parseText("data:  x \n\n").events[0]?.data).toBe(" x ");
  });

  test("an id without data moves the last event id and dispatches nothing", () => {
    expect(parseText("id: 7\n\n")).toEqual({ events: [], retries: [], lastEventId: "7" });
  });

  test("an empty id takes the last event id back", () => {
    expect(parseText("id: 7\n\nid\n\n").lastEventId).toBe("");
  });

  test("the last event id moves when the block ends, not before", () => {
    expect(parse([encoder.encode("id: 7\ndata: x\n")], "6").lastEventId).toBe("6");
  });

  test("an event without an id of its own keeps the last event id and says so", () => {
    expect(parseText("id: 7\ndata: x\n\nevent: busy\ndata: {}\n\n")).toEqual({
      events: [
        { type: "message", data: "x", id: "7" },
        { type: "busy", data: "{}", id: undefined },
      ],
      retries: [],
      lastEventId: "7",
    });
  });

  test("a block cut short by the end of the stream is not dispatched", () => {
    expect(parseText("data: x\n").events).toEqual([]);
  });

  test("retry takes digits alone", () => {
    expect(parseText("retry: 100\nretry: -1\nretry: 1e3\nretry:\nretry: 2 \n\n").retries).toEqual([100]);
  });
});
