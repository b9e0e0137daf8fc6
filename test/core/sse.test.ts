import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCursor } from "../../functions/core/cursor.ts";
import { encodeRecord, parseEvent } from "../../functions/core/event.ts";
import { SSE } from "../../functions/core/sse.ts";

const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const cursor = parseCursor("abc.17-0");
const record = (dataText: string) =>
  encodeRecord(
    parseEvent({
      companyId: "acme",
      source: "/t",
      id: "1",
      type: "metric_updated",
      time: "2026-01-31T12:00:00Z",
      dataText,
    }),
  );

interface Dispatched {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

/** What a browser makes of a stream: WHATWG HTML 9.2.6, word for word. */
function interpret(stream: string): {
  events: Dispatched[];
  lastEventId: string;
  retryMs: number | undefined;
} {
  const events: Dispatched[] = [];
  let [type, data, idBuffer, lastEventId, retryMs]: [string, string, string, string, number | undefined] = [
    "",
    "",
    "",
    "",
    undefined,
  ];
  for (const line of stream.split(/\r\n|\n|\r/).slice(0, -1)) {
    if (line === "") {
      lastEventId = idBuffer;
      if (data !== "") events.push({ type: type || "message", data: data.replace(/\n$/, ""), lastEventId });
      data = "";
      type = "";
      continue;
    }
    if (line.startsWith(":")) continue;
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
    if (field === "event") type = value;
    else if (field === "data") data += `${value}\n`;
    else if (field === "id" && !value.includes("\0")) idBuffer = value;
    else if (field === "retry" && /^\d+$/.test(value)) retryMs = Number(value);
  }
  return { events, lastEventId, retryMs };
}

describe("SSE.event", () => {
  it("has the bytes of the contract", () => {
    const frame = SSE.event(cursor, record('{"companyId":"acme","value":0.85}'), "data");
    expect(text(frame)).toBe(
      'event: metric_updated\nid: abc.17-0\ndata: {"companyId":"acme","value":0.85}\n\n',
    );
  });

  it("carries the whole event as cloudevents", () => {
    const stored = record('{"value":1}');
    expect(text(SSE.event(cursor, stored, "cloudevents"))).toBe(
      `event: metric_updated\nid: abc.17-0\ndata: ${stored}\n\n`,
    );
  });

  it("reaches a browser whole: any JSON is one event with the same data", () => {
    fc.assert(
      fc.property(fc.array(fc.json({ stringUnit: "binary" }), { maxLength: 5 }), (payloads) => {
        const records = payloads.filter((json) => !json.includes("companyId")).map(record);
        const stream = records.map((stored) => text(SSE.event(cursor, stored, "cloudevents"))).join("");
        expect(interpret(stream).events.map(({ data }) => data)).toEqual(
          // UTF-8 has no lone surrogates.
          records.map((stored) => stored.toWellFormed()),
        );
      }),
    );
  });
});

describe("SSE.cursor", () => {
  it("moves the browser's cursor and dispatches nothing", () => {
    expect(text(SSE.cursor(cursor))).toBe("id: abc.17-0\n\n");
    expect(interpret(text(SSE.cursor(cursor)))).toMatchObject({ events: [], lastEventId: cursor });
  });
});

describe("SSE.gap", () => {
  it("says reason, requested and resumedAt, and moves the cursor to where reading goes on", () => {
    const frame = SSE.gap({
      reason: "expired",
      requested: parseCursor("abc.1-0"),
      resumedAt: cursor,
      after: parseCursor("abc.16-4"),
    });
    expect(interpret(text(frame)).events).toEqual([
      {
        type: "gap",
        data: '{"reason":"expired","requested":"abc.1-0","resumedAt":"abc.17-0"}',
        lastEventId: "abc.16-4",
      },
    ]);
  });
});

describe("SSE.notice", () => {
  it("leaves the cursor alone and stays one line whatever is in it", () => {
    const stream = text(SSE.cursor(cursor)) + text(SSE.notice("busy", { reason: "a\r\nid: 5\n\nb" }));
    expect(interpret(stream)).toEqual({
      events: [{ type: "busy", data: '{"reason":"a\\r\\nid: 5\\n\\nb"}', lastEventId: cursor }],
      lastEventId: cursor,
      retryMs: undefined,
    });
  });
});

describe("SSE.retry, SSE.heartbeat", () => {
  it("dispatch nothing", () => {
    expect(text(SSE.heartbeat)).toBe(":heartbeat\n\n");
    expect(interpret(text(SSE.retry(3000)) + text(SSE.heartbeat))).toEqual({
      events: [],
      lastEventId: "",
      retryMs: 3000,
    });
  });
});
