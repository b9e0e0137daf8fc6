import { describe, expect, test } from "vitest";
import type { DataText } from "../../functions/core/event.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { parseReading } from "../../functions/core/reading.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const parseText = (data: string) =>
  parseReading({ companyId: "acme" as CompanyId, data: data as DataText }, NOW);
const parse = (change: Record<string, unknown>) =>
  parseText(
    JSON.stringify({
      metric_name: "m",
      uuid: "GPU-1",
      timestamp: "2026-01-31T12:00:00Z",
      value: 1,
      ...change,
    }),
  );
const readValue = (text: string) =>
  parseText(`{"metric_name":"m","uuid":"u","timestamp":"2026-01-31T12:00:00Z","value":${text}}`).value;

describe("parseReading", () => {
  test("takes what the exporter gives, text as it came and nothing for what is not there", () => {
    expect(parse({ gpu_id: "0", labels_raw: 'a="b"', pod: 7 })).toEqual({
      ...{ companyId: "acme", uuid: "GPU-1", metric_name: "m", timeMs: NOW, value: 1 },
      labels: {
        ...{ gpu_id: "0", device: "", modelName: "", Hostname: "", container: "", pod: "", namespace: "" },
        labels_raw: 'a="b"',
      },
    });
  });

  test("bounds labels: labels_raw to 4 KiB, each other to 256 characters", () => {
    const most = { labels_raw: "é".repeat(2_048), pod: "é".repeat(256) };
    expect(parse(most).labels).toMatchObject(most);
    expect(() => parse({ labels_raw: "é".repeat(2_049) })).toThrow(
      /^Cannot store a reading: labels_raw is 4098 bytes, expected at most 4096 bytes$/,
    );
    for (const name of ["gpu_id", "device", "modelName", "Hostname", "container", "pod", "namespace"]) {
      expect(() => parse({ [name]: "x".repeat(257) })).toThrow(
        `Cannot store a reading: ${name} is 257 characters, expected at most 256 characters`,
      );
    }
  });

  test("takes a time up to a day ahead, and none beyond", () => {
    expect(parse({ timestamp: "2026-02-01T12:00:00Z" }).timeMs).toBe(NOW + 86_400_000);
    expect(() => parse({ timestamp: "2026-02-01T12:00:00.001Z" })).toThrow(
      'Cannot store a reading: timestamp is "2026-02-01T12:00:00.001Z", expected at most a day ahead of now',
    );
  });

  test.each(["2026-01-30T12:00:00", "2025-02-30T00:00:00Z", "0000-01-01T00:00:00+23:59", "yesterday"])(
    "refuses the time %s",
    (timestamp) => {
      expect(() => parse({ timestamp })).toThrow(
        `Cannot store a reading: timestamp is "${timestamp}", expected RFC 3339 such as 2026-01-31T12:00:00Z`,
      );
    },
  );

  test.each([".", "..", "", "a\u0000b", "\ud800", "x".repeat(129), 7, undefined])(
    "refuses the uuid %j",
    (uuid) => {
      expect(() => parse({ uuid })).toThrow(/^Cannot store a reading: uuid is /);
    },
  );

  test("takes a uuid of dots that a URL keeps, and a metric of any", () => {
    expect(parse({ uuid: "...", metric_name: ".." })).toMatchObject({ uuid: "...", metric_name: ".." });
  });

  test("keeps a number, as text where a whole one would lose digits or it would become infinite", () => {
    expect(["1.5", "-0", "1e3", "9007199254740991"].map(readValue)).toEqual([1.5, 0, 1000, 9007199254740991]);
    expect(["9007199254740993", "1e400"].map(readValue)).toEqual(["9007199254740993", "1e400"]);
    expect(readValue("0.12345678901234567890123")).toBe(0.12345678901234568);
  });

  test("takes text as a value, but none that no store could give back", () => {
    expect(readValue('"N/A"')).toBe("N/A");
    expect(readValue('"🚂"')).toBe("🚂");
    expect(() => readValue('"x\\ud800y"')).toThrow(
      /^Cannot store a reading: value is .*, expected a number, or/,
    );
    for (const text of ["null", "true", "[1]", `"${"x".repeat(129)}"`]) {
      expect(() => readValue(text)).toThrow(/^Cannot store a reading: value is /);
    }
  });
});
