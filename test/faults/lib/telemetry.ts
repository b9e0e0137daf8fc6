/** A file of GPU telemetry, and what became of its rows: in the telemetry store as the metrics API shows it, and in the log. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { dcgmCsv, dcgmReadings } from "../../../bridge/producers/dcgm.ts";
import type { DcgmRow } from "../../../bridge/producers/dcgm-row.ts";
import { type RunningProcess, start } from "../../support/process.ts";
import { waitFor } from "../../support/wait.ts";
import { few } from "./compare.ts";
import { CLI, mintToken } from "./millrace.ts";

const COMPANY = "acme";
/** Of the metrics API. */
const AUTH_TOKEN = "a token of the tests";

export interface TelemetryFile extends Disposable {
  readonly path: string;
  readonly rows: readonly DcgmRow[];
  /** Where the processes of one test keep what they keep. */
  readonly env: Readonly<Record<string, string>>;
}

/** Rows of a fleet of 64 GPUs, a host scraped every second, the last of them a minute ago. */
export function writeTelemetry(count: number): TelemetryFile {
  const folder = mkdtempSync(join(tmpdir(), "millrace-telemetry-"));
  const beganAtMs = Date.now() - 60_000 - count * 1000;
  const fleet = () => {
    // Park and Miller's; twice the same.
    let state = 1;
    let scrapes = 0;
    return {
      ...{ companies: [COMPANY], hostsPerCompany: 16, gpusPerHost: 4 },
      random: () => {
        state = (state * 16_807) % 2_147_483_647;
        return state / 2_147_483_647;
      },
      now: () => beganAtMs + scrapes++ * 1000,
    };
  };
  const path = join(folder, "dcgm.csv");
  writeFileSync(path, [...dcgmCsv({ ...fleet(), count })].join(""));
  const readings = dcgmReadings(fleet());
  return {
    path,
    rows: Array.from({ length: count }, () => readings.next().value.row),
    env: { DATA_DIR: join(folder, "data"), AUTH_TOKEN },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

/** `millrace produce` of the file. */
export function produceFile(
  file: TelemetryFile,
  port: number,
  ratePerSecond: number,
): RunningProcess & { readonly done: () => Promise<void> } {
  const args = ["produce", "--company", COMPANY, "--rate", String(ratePerSecond)];
  const env = { BROKER_ADDR: `127.0.0.1:${port}`, CSV_PATH: file.path, LOG_LEVEL: "info" };
  const child = start(process.execPath, [CLI, ...args], { env });
  const done = async () => {
    await waitFor("the producer to end", () => child.child.exitCode !== null, { timeoutMs: 60_000 });
    expect(child.output()).toContain(`sent ${file.rows.length} messages`);
  };
  return { ...child, done };
}

type Shown = Readonly<Record<string, unknown>>;
const keyOf = ({ uuid, metric_name, timestamp }: Shown) => `${uuid} ${metric_name} ${timestamp}`;

/** Every reading the metrics API shows, page by page. */
async function shownReadings(url: string): Promise<Shown[]> {
  const pages = async (path: string) => {
    const items: Shown[] = [];
    for (let page = 1; ; page++) {
      const response = await fetch(`${url}${path}?limit=200&page=${page}`, {
        headers: { authorization: `Bearer ${AUTH_TOKEN}` },
      });
      if (response.status !== 200) throw new Error(await response.text());
      const answer = (await response.json()) as { total: number; items: Shown[] };
      items.push(...answer.items);
      if (items.length === answer.total) return items;
      if (answer.items.length === 0) throw new Error(`${items.length} items of a total of ${answer.total}`);
    }
  };
  const gpus = await pages("/api/v1/gpus");
  const readings: Shown[] = [];
  for (const { uuid } of gpus) readings.push(...(await pages(`/api/v1/gpus/${uuid}/telemetry`)));
  return readings;
}

/** The data of every event of the company's log. */
async function loggedRows(url: string): Promise<Shown[]> {
  const rows: Shown[] = [];
  const headers = { authorization: `Bearer ${await mintToken(COMPANY)}` };
  for (let after: string | undefined; ; ) {
    const query = new URLSearchParams({ companyId: COMPANY, limit: "500", ...(after ? { after } : {}) });
    const response = await fetch(`${url}/stream/history?${query}`, { headers });
    if (response.status !== 200) throw new Error(await response.text());
    const page = (await response.json()) as {
      events: { type: string; data: Shown }[];
      next: string;
      more: boolean;
    };
    for (const { type, data } of page.events) {
      if (type !== "telemetry.gpu") throw new Error(`An event of type ${type}`);
      rows.push(data);
    }
    after = page.next;
    if (!page.more) return rows;
  }
}

/** Waits until as many rows are there as the file has, then holds them against it: every one once, with all it says. */
export async function expectRows(file: TelemetryFile, url: string): Promise<void> {
  const wanted = file.rows.length;
  // A reading is stored before its event, and the log is the cheaper one to ask.
  const isThere = async () => (await loggedRows(url)).length >= wanted;
  await waitFor("the rows", isThere, { timeoutMs: 60_000, everyMs: 250 }).catch(() => {});
  const expected = new Map(file.rows.map((row) => [keyOf(row), { companyId: COMPANY, ...row }]));
  expect(expected.size).toBe(wanted);
  for (const found of [await shownReadings(url), await loggedRows(url)]) {
    const keys = new Set(found.map(keyOf));
    const missing = [...expected.keys()].filter((key) => !keys.has(key));
    const wrong = found.filter((row) => !sameRow(row, expected.get(keyOf(row))));
    expect({ count: found.length, missing: few(missing), wrong: few(wrong) }).toEqual({
      ...{ count: wanted, missing: [], wrong: [] },
    });
  }
}

function sameRow(row: Shown, expected: Shown | undefined): boolean {
  const sorted = (of: Shown) => JSON.stringify(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)));
  return expected !== undefined && sorted(row) === sorted(expected);
}
