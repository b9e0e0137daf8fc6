import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCursor } from "../../functions/core/cursor.ts";
import { encodeRecord, parseEvent, recordData } from "../../functions/core/event.ts";
import { JSON_LINES } from "../../functions/core/json-lines.ts";

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

describe("JSON_LINES", () => {
  it("has the bytes of the contract, a large number as it came", () => {
    const data = '{"companyId":"acme","value":12345678901234567890}';
    expect(text(JSON_LINES.event(cursor, record(data), "data"))).toBe(
      `{"event":"metric_updated","id":"abc.17-0","data":${data}}\n`,
    );
    expect(text(JSON_LINES.cursor(cursor))).toBe('{"id":"abc.17-0"}\n');
    expect(text(JSON_LINES.retry(3000))).toBe('{"retry":3000}\n');
    expect(text(JSON_LINES.heartbeat)).toBe("{}\n");
  });

  it("carries the whole event as cloudevents", () => {
    const stored = record('{"value":1}');
    expect(JSON.parse(text(JSON_LINES.event(cursor, stored, "cloudevents")))).toEqual({
      event: "metric_updated",
      id: "abc.17-0",
      data: JSON.parse(stored),
    });
  });

  it("is one line a message, whatever is in it", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "binary" }), fc.string({ unit: "binary" }), (json, said) => {
        fc.pre(!json.includes("companyId"));
        const stored = record(json);
        const lines = [
          JSON_LINES.event(cursor, stored, "data"),
          JSON_LINES.notice("busy", { message: said }),
          JSON_LINES.gap({ reason: "reset", requested: cursor, resumedAt: cursor, after: cursor }),
        ];
        const [event, notice, gap] = lines.map(text).join("").trimEnd().split("\n");
        expect(JSON.parse(event!).data).toEqual(JSON.parse(recordData(stored).toWellFormed()));
        expect(JSON.parse(notice!)).toEqual({ event: "busy", data: { message: said.toWellFormed() } });
        expect(JSON.parse(gap!)).toMatchObject({ event: "gap", id: cursor });
      }),
    );
  });
});
