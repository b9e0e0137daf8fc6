/**
 * A million random requests, most of them nearly right: each is answered, in time, by a status of the contract, and nothing is kept of it. The
 * generators are fast-check's for what is structured and a plain random source for the bulk: shrinking a million would cost more than it tells.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { acceptsGzip } from "../../functions/core/accepts-gzip.ts";
import { readCookie } from "../../functions/core/cookie.ts";
import { parseCursor } from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import {
  COMPANY,
  CURSOR,
  choice,
  count,
  readHeaders,
  readQuery,
  TIME,
  TYPES,
} from "../../functions/routes/query.ts";
import { acceptsEventStream } from "../../functions/routes/refusal.ts";
import { createChance } from "../faults/lib/random.ts";
import { waitFor } from "../support/wait.ts";
import { ODD_TEXTS } from "./odd-texts.ts";
import { startTestApp, type TestApp, token } from "./test-app.ts";

/** Through the parsers of a request; through the whole app. */
const PARSED = 1_000_000;
const ASKED = 60_000;
/** Statuses a request may be answered with: a hang or a 500 is none. */
const STATUSES = [200, 204, 304, 400, 401, 403, 404, 405, 406, 415, 426, 429];

const chance = createChance("random requests");

let test: TestApp;
let tokens: string[];
let cursors: string[];
beforeAll(async () => {
  test = await startTestApp({ hub: { heartbeatMs: 60_000 } });
  tokens = [
    ...[await token(), await token({ roles: ["ops"] }), await token({ companyId: "globex" })],
    ...[await token({ companyId: "acme" }, 1), "nonsense", "a.b.c"],
  ];
  cursors = (await test.append("acme", 50)) as string[];
});
afterAll(() => test?.[Symbol.asyncDispose]());

const pick = <T>(items: readonly T[]): T => items[chance.whole(0, items.length - 1)]!;
const NAMES = [
  "companyId",
  "types",
  "lastEventId",
  "after",
  "limit",
  "format",
  "overflow",
  "ticket",
  "x",
  "",
];

/** A few pieces on end, a cursor, or a cursor with one character changed. */
function text(): string {
  const kind = chance.whole(0, 9);
  if (kind < 5) return Array.from({ length: chance.whole(0, 3) }, () => pick(ODD_TEXTS)).join("");
  if (kind < 7) return pick(cursors);
  const cursor = pick(cursors);
  const at = chance.whole(0, cursor.length);
  return `${cursor.slice(0, at)}${String.fromCharCode(chance.whole(0, 0x2ff))}${cursor.slice(at + chance.whole(0, 1))}`;
}

/** As a query writes it, or not quite. */
const written = (value: string) =>
  chance.whole(0, 9) < 8
    ? encodeURIComponent(value.replaceAll(/\p{Surrogate}/gu, "?"))
    : value.replaceAll(/[#\s\p{Surrogate}]/gu, "%");

const query = () =>
  Array.from({ length: chance.whole(0, 4) }, () => `${pick(NAMES)}=${written(text())}`).join("&");

/** What a parser says, or that it refuses; anything else is a bug. */
function parses(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === "invalid-input")) throw error;
    if (error.message.length > 500 || /[\0-\x1f]/.test(error.message))
      throw new Error(`not fit for an answer: ${JSON.stringify(error.message)}`);
  }
}

describe("random requests", () => {
  it(`${PARSED.toLocaleString("en")} cursors, queries and headers: the parsers take or refuse each, in time`, {
    timeout: 90_000,
  }, () => {
    const schemas = [
      ...[{ companyId: COMPANY }, { types: TYPES.optional() }, { lastEventId: CURSOR.optional() }],
      ...[{ format: choice("data", "cloudevents").default("data") }, { limit: count(500).default(100) }],
      { after: TIME.optional() },
    ].map((shape: z.ZodRawShape) => z.object(shape));
    const lastEventId = z.object({ "Last-Event-ID": CURSOR });
    const asHeaders = (text: string) => ({ get: () => text }) as unknown as Headers;
    const parsers: readonly ((params: URLSearchParams, header: string) => unknown)[] = [
      ...schemas.map((schema) => (params: URLSearchParams) => readQuery(schema, params)),
      (_, header) => readHeaders(lastEventId, asHeaders(header)),
      (_, header) => acceptsEventStream(header),
      (_, header) => acceptsGzip(header, header),
      (_, header) => readCookie("https://a.example/", header),
    ];
    // Queries are made of a few thousand: what is tried is the parsers, not the making.
    const params = Array.from({ length: 2_000 }, () => new URLSearchParams(query()));
    const startMs = performance.now();
    let [slowestMs, beforeMs] = [0, startMs];
    for (let n = 0; n < PARSED; n++) {
      const [given, header] = [pick(params), text()];
      parses(() => parseCursor(header));
      parses(() => parsers[n % parsers.length]!(given, header));
      const nowMs = performance.now();
      slowestMs = Math.max(slowestMs, nowMs - beforeMs);
      beforeMs = nowMs;
    }
    // One that backtracks would take seconds; a collection of garbage takes some tens of milliseconds.
    expect(slowestMs).toBeLessThan(1_000);
    console.log(
      `${PARSED} parsed in ${Math.round(performance.now() - startMs)} ms, the slowest ${slowestMs.toFixed(1)} ms`,
    );
  });

  it("every cursor that is taken is one, and comes back as it was (property)", () => {
    const part = fc.integer({ min: 0, max: 999_999_999_999_999 });
    const epoch = fc.string({ unit: fc.constantFrom(..."abcXYZ019"), minLength: 1, maxLength: 24 });
    fc.assert(
      fc.property(
        epoch,
        part,
        part,
        (log, ms, seq) => parseCursor(`${log}.${ms}-${seq}`) === `${log}.${ms}-${seq}`,
      ),
      { numRuns: 20_000 },
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (any) => {
        parses(() => parseCursor(any));
        try {
          return /^[A-Za-z0-9._-]{1,64}$/.test(parseCursor(any));
        } catch {
          return true;
        }
      }),
      { numRuns: 50_000 },
    );
  });

  it(`${ASKED.toLocaleString("en")} requests of the app: a status of the contract each, and nothing is kept behind`, {
    timeout: 90_000,
  }, async () => {
    const paths = [...new Set(test.app.routes.map(({ path }) => path))].filter((path) => !path.includes("*"));
    const spelling = (path: string) => (chance.whole(0, 19) > 0 ? path : path + written(text()));
    const HEADERS = [
      "last-event-id",
      "accept",
      "accept-encoding",
      "cookie",
      "origin",
      "if-none-match",
      "upgrade",
      "via",
      "x",
    ];
    const VALUES = [
      "text/event-stream",
      "application/json",
      "*/*;q=0",
      "gzip",
      "gzip;q=0",
      "millrace=x",
      "websocket",
      "null",
      "1.0 x",
    ];
    const LIVE = ["/stream/updates", "/stream/history", "/sse", "/stream/dashboard"];
    const statuses = new Map<number, number>();
    const problems: string[] = [];

    const once = async () => {
      const headers = new Headers();
      for (let count = chance.whole(0, 3); count > 0; count--) {
        const value = chance.whole(0, 1) === 0 ? pick(VALUES) : text();
        // What no HTTP parser would hand on is left out.
        headers.set(pick(HEADERS), value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "?").trim());
      }
      if (headers.get("upgrade") === "websocket") headers.delete("upgrade");
      if (chance.whole(0, 4) > 0) headers.set("authorization", `Bearer ${pick(tokens)}`);
      // Every other one is nearly right: what is random is what comes behind that.
      const isNear = chance.whole(0, 1) === 0;
      if (isNear) headers.set("authorization", `Bearer ${tokens[0]}`);
      const method =
        chance.whole(0, 9) < 8 ? "GET" : pick(["POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"]);
      const asked = isNear ? pick(LIVE) : spelling(pick(paths).replace(":id", written(text()) || "x"));
      const path = `${asked}?${isNear ? "companyId=acme&" : ""}${query()}`;
      const url = `http://localhost${path}`;
      if (!URL.canParse(url)) return;
      const body = method === "POST" || method === "PUT" ? text() : null;
      const response = await test.app.fetch(new Request(url, { method, headers, body }));
      const { status } = response;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (!STATUSES.includes(status)) problems.push(`${method} ${path}: ${status}`);
      // A stream is opened for good: one frame says that it is one.
      const reader = response.body?.getReader();
      const first = await reader?.read();
      const isJson = /json/.test(response.headers.get("content-type") ?? "");
      if (status >= 400 && method !== "HEAD" && isJson) {
        const { error, message } = JSON.parse(new TextDecoder().decode(first?.value)) as Record<
          string,
          unknown
        >;
        if (typeof error !== "string" || typeof message !== "string")
          problems.push(`${method} ${path}: no reason`);
      }
      await reader?.cancel();
    };

    const startMs = performance.now();
    for (let n = 0; n < ASKED; n += 50) await Promise.all(Array.from({ length: 50 }, once));
    expect(problems.slice(0, 5)).toEqual([]);
    await waitFor("everybody to have left", () => test.hub.stats().totalConnections === 0);
    await waitFor("nobody to watch", () => test.counters.stats().watchers === 0);
    expect(test.logged().filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
    // It is of use only where much is let in and much is refused.
    for (const status of [200, 400, 401, 403, 404, 405])
      expect(statuses.get(status) ?? 0).toBeGreaterThan(50);
    const counted = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    console.log(`${ASKED} requests in ${Math.round(performance.now() - startMs)} ms: ${counted.join(", ")}`);
  });
});
