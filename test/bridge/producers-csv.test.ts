import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type BadRow, readCsv } from "../../bridge/producers/csv.ts";
import { type CsvRecord, readRecords } from "../../bridge/producers/csv-records.ts";
import { dcgmCsv, dcgmReadings } from "../../bridge/producers/dcgm.ts";
import { DCGM_COLUMNS } from "../../bridge/producers/dcgm-row.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-csv-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function writeCsv(text: string): string {
  const path = join(folder, `${files++}.csv`);
  writeFileSync(path, text);
  return path;
}

async function readAll(text: string, companyId?: string) {
  const bad: BadRow[] = [];
  const rows: Record<string, unknown>[] = [];
  const options = { path: writeCsv(text), companyId, onBadRow: (row: BadRow) => bad.push(row) };
  for await (const message of readCsv(options)) rows.push(message.body);
  return { rows, bad };
}

const HEADER = DCGM_COLUMNS.join(",");
/** A good row with its value. */
const row = (value: string) =>
  `2026-01-31T12:00:00Z,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-1,H100,host-1,,,,${value},labels`;

describe("readCsv", () => {
  test("reads what dcgmCsv writes: text as text, the value as a number", async () => {
    const fleet = { companies: ["acme"], random: () => 0.4, now: () => Date.UTC(2026, 0, 31) };
    const { rows, bad } = await readAll([...dcgmCsv({ ...fleet, count: 500 })].join(""));
    const readings = dcgmReadings(fleet);
    expect(rows).toEqual(Array.from({ length: 500 }, () => readings.next().value.row));
    expect(bad).toEqual([]);
  });

  test("puts the company into the message when one is given, and on the subject of telemetry", async () => {
    const path = writeCsv(`${HEADER}\n${row("42")}\n`);
    const [message] = await Array.fromAsync(readCsv({ path, companyId: "acme", onBadRow: () => {} }));
    expect(message).toMatchObject({
      companyId: "acme",
      subject: "telemetry.gpu",
      time: "2026-01-31T12:00:00Z",
    });
    expect(message!.body).toEqual({
      companyId: "acme",
      timestamp: "2026-01-31T12:00:00Z",
      metric_name: "DCGM_FI_DEV_GPU_UTIL",
      gpu_id: "0",
      device: "nvidia0",
      uuid: "GPU-1",
      modelName: "H100",
      Hostname: "host-1",
      ...{ container: "", pod: "", namespace: "" },
      value: 42,
      labels_raw: "labels",
    });
    const { rows } = await readAll(`${HEADER}\n${row("42")}\n`);
    expect(rows[0]).not.toHaveProperty("companyId");
  });

  test("gives a row the same id whenever it is read, and another one to every other row and company", async () => {
    const path = writeCsv([HEADER, row("1"), row("2"), row("1")].join("\n"));
    const idsFor = async (companyId: string | undefined) => {
      const messages = await Array.fromAsync(readCsv({ path, companyId, onBadRow: () => {} }));
      return messages.map(({ id }) => id);
    };
    const [one, two, again] = await idsFor("acme");
    expect(again).toBe(one);
    expect(two).not.toBe(one);
    expect(await idsFor("acme")).toEqual([one, two, one]);
    const ids = [...(await idsFor("acme")), ...(await idsFor("globex")), ...(await idsFor(undefined))];
    expect(new Set(ids).size).toBe(6);
  });

  test("keeps as text what is not a number, or would not be the same as one", async () => {
    const values = ["-1.5", "1e3", "0", "NaN", "N/A", "0x10", "12345678901234567890", "1e999"];
    const { rows } = await readAll(`${HEADER}\n${values.map(row).join("\n")}`);
    const expected = [-1.5, 1000, 0, "NaN", "N/A", "0x10", "12345678901234567890", "1e999"];
    expect(rows.map(({ value }) => value)).toEqual(expected);
  });

  test("skips bad rows, each with its line and reason, and no other row", async () => {
    const lines = [
      HEADER,
      row("1"),
      "too,few",
      `${row("2")},too many`,
      row("3").replace("2026-01-31T12:00:00Z", "yesterday"),
      row("4").replace("GPU-1", ""),
      row(""),
      "",
      row("5").replace("H100", '"never closed'),
      row("6"),
      row("7").replace("H100", 'in"side'),
      row("8").replace("H100", '"an "odd" one"'),
      `${row("9")}${"x".repeat(200_000)}`,
      row("10").replace("H100", '"two\nlines"'),
      row("11"),
    ];
    const { rows, bad } = await readAll(lines.join("\n"));
    expect(rows.map(({ value }) => value)).toEqual([1, 6, 10, 11]);
    expect(rows[2]!.modelName).toBe("two\nlines");
    expect(bad).toEqual([
      { line: 3, reason: "2 columns, expected 12" },
      { line: 4, reason: "13 columns, expected 12" },
      {
        line: 5,
        reason:
          'Cannot store a reading: timestamp is "yesterday", expected RFC 3339 such as 2026-01-31T12:00:00Z',
      },
      { line: 6, reason: "uuid is empty" },
      { line: 7, reason: "value is empty" },
      { line: 9, reason: expect.stringMatching(/quote/i) },
      { line: 11, reason: expect.stringMatching(/quote/i) },
      { line: 12, reason: expect.stringMatching(/quote/i) },
      { line: 13, reason: "over 131072 characters" },
    ]);
  });

  test("skips rows that the bridge would not take", async () => {
    const change = (from: string, to: string) => row("1").replace(from, to);
    const time = "2026-01-31T12:00:00Z";
    const lines = [
      HEADER,
      ...["2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "9999-12-31T23:59:59Z"].map((to) =>
        change(time, to),
      ),
      ...[change("GPU-1", ".."), change("host-1", "h".repeat(257)), change("labels", "x".repeat(4_097))],
      row("x".repeat(129)),
      row("2"),
    ];
    const { rows, bad } = await readAll(lines.join("\n"));
    expect(rows.map(({ value }) => value)).toEqual([2]);
    const problems = bad.map(({ reason }) => /^Cannot store a reading: (\w+) is /.exec(reason)?.[1]);
    expect(problems).toEqual([
      ...["timestamp", "timestamp", "timestamp", "uuid", "Hostname", "labels_raw", "value"],
    ]);
  });

  test("skips rows that name another company than the one given", async () => {
    const text = `${HEADER},companyId\n${row("1")},acme\n${row("2")},globex\n`;
    const { rows, bad } = await readAll(text, "acme");
    expect(rows.map(({ value }) => value)).toEqual([1]);
    expect(bad).toEqual([{ line: 3, reason: 'companyId is "globex", expected "acme"' }]);
    expect((await readAll(text)).rows.map(({ companyId }) => companyId)).toEqual(["acme", "globex"]);
  });

  test("reads a file with a byte order mark, CR LF and columns in another order", async () => {
    const header = [...DCGM_COLUMNS].reverse().join(",");
    const reversed = row("7").split(",").reverse().join(",");
    const { rows, bad } = await readAll(`\ufeff${header}\r\n${reversed}\r\n`);
    expect(bad).toEqual([]);
    expect(rows[0]).toMatchObject({ value: 7, timestamp: "2026-01-31T12:00:00Z", labels_raw: "labels" });
  });

  test.each([
    [
      "names every missing and repeated column at once",
      HEADER.replace("uuid,", "").replace("pod", "gpu_id"),
      /missing columns uuid, pod; repeated columns "gpu_id", expected a header with timestamp,/,
    ],
    ["refuses a file with nothing in it", "", /missing columns timestamp, metric_name/],
    ["refuses a file that is something else", '{"json": true}\n'.repeat(3), /missing columns timestamp/],
  ])("%s", async (_, text, expected) => {
    await expect(readAll(text)).rejects.toThrow(expected);
    await expect(readAll(text)).rejects.toMatchObject({ code: "invalid-input" });
  });

  test("names a file that cannot be read", async () => {
    const path = join(folder, "missing.csv");
    const reading = Array.fromAsync(readCsv({ path, companyId: undefined, onBadRow: () => {} }));
    await expect(reading).rejects.toThrow(/^Cannot read CSV file ".*missing.csv": ENOENT/);
  });
});

describe("readRecords", () => {
  async function records(text: string, places: readonly number[] = []): Promise<CsvRecord[]> {
    const ends = [...places.map((place) => Math.floor(place * text.length)), text.length].sort(
      (a, b) => a - b,
    );
    const chunks = ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end));
    return Array.fromAsync(readRecords(ReadableStream.from(chunks)));
  }
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
  const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`;

  test("gives back fields of any text, however the file is cut into chunks", async () => {
    // Letters that matter come often. A CR before LF is a line's end, in quotes too.
    const text = fc.string({
      unit: fc.constantFrom("a", '"', ",", "\n", " ", "é", "𝄞"),
      maxLength: 8,
      size: "max",
    });
    const fields = fc.array(text, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(fields, { maxLength: 10 }), cuts, async (rows, places) => {
        const read = await records(rows.map((row) => `${row.map(quoted).join(",")}\n`).join(""), places);
        expect(read.map((record) => ("fields" in record ? record.fields : record.reason))).toEqual(rows);
      }),
    );
  });

  test("makes the same of any text however it is cut, never throws, and recovers", async () => {
    const text = fc.string({
      unit: fc.constantFrom("a", '"', ",", "\n", "\r", "\0"),
      maxLength: 100,
      size: "max",
    });
    await fc.assert(
      fc.asyncProperty(text, cuts, async (garbage, places) => {
        const whole = await records(garbage);
        expect(await records(garbage, places)).toEqual(whole);
        const withTail = await records(`${garbage}\ngood,row\n`);
        expect(withTail.at(-1)).toMatchObject({ fields: ["good", "row"] });
      }),
    );
  });

  test("gives up an open quote after 16 lines, not at the end of the file", async () => {
    let lines = 0;
    async function* endless() {
      yield 'an "open quote\n';
      for (;;) {
        lines++;
        yield "good,row\n";
      }
    }
    const reading = readRecords(endless());
    const { value: bad } = await reading.next();
    const { value: good } = await reading.next();
    expect(bad).toEqual({ line: 1, reason: "a quote is never closed" });
    expect(good).toEqual({ line: 2, fields: ["good", "row"] });
    expect(lines).toBe(15);
  });

  test("holds no more than a record's worth of a file that is one endless line", async () => {
    const piece = "x".repeat(1024 * 1024);
    async function* endless() {
      for (let n = 0; n < 1000; n++) yield piece;
      yield "\nnext\n";
    }
    expect(await Array.fromAsync(readRecords(endless()))).toEqual([
      { line: 1, reason: "over 131072 characters" },
      { line: 2, fields: ["next"] },
    ]);
  });
});
