/** The metrics API on the embedded telemetry store: pages, who is shown what, and what is refused by what name. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { Reading } from "../../functions/core/reading.ts";
import { AUTH_TOKEN, startTestApp, type TestApp, token } from "./test-app.ts";

const START_MS = Date.parse("2026-01-31T12:00:00Z");
const PATH = "/api/v1/gpus";

function reading(
  companyId: string,
  uuid: string,
  second: number,
  metric_name = "DCGM_FI_DEV_GPU_UTIL",
): Reading {
  const labels = {
    ...{ gpu_id: "0", device: "nvidia0", modelName: "NVIDIA H100", Hostname: "host-1" },
    ...{ container: "c", pod: "p", namespace: "n", labels_raw: 'a="b"' },
  };
  return {
    ...{ companyId: companyId as CompanyId, uuid, metric_name },
    ...{ timeMs: START_MS + second * 1_000, value: second, labels },
  };
}

/** `GPU-both` is known to two companies. */
const READINGS = [
  ...Array.from({ length: 10 }, (_, second) => reading("acme", "GPU-a", second)),
  ...[reading("acme", "GPU-a", 3, "DCGM_FI_DEV_POWER_USAGE"), reading("acme", "GPU-b", 20)],
  ...[reading("globex", "GPU-g", 5), reading("acme", "GPU-both", 1), reading("globex", "GPU-both", 2)],
];

interface PageOf<T> {
  readonly total: number;
  readonly page: number;
  readonly limit: number;
  readonly items: readonly T[];
}
type Item = Readonly<Record<string, unknown>>;

let test: TestApp;
/** Without AUTH_TOKEN. */
let open: TestApp;
beforeAll(async () => {
  [test, open] = await Promise.all([
    startTestApp(),
    startTestApp({ settings: { AUTH_TOKEN: undefined, DEFAULT_PAGE_SIZE: 2 } }),
  ]);
  await Promise.all([test, open].map(({ telemetry }) => telemetry.write(READINGS)));
});
afterAll(() => Promise.all([test?.[Symbol.asyncDispose](), open?.[Symbol.asyncDispose]()]));

const page = async (response: Response): Promise<PageOf<Item>> => {
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as PageOf<Item>;
};
const uuids = ({ items }: PageOf<Item>) => items.map(({ companyId, uuid }) => `${companyId}/${uuid}`);
const message = async (response: Response) => ((await response.json()) as { message: string }).message;

describe("GET /api/v1/gpus", () => {
  it("answers a page of the caller's GPUs by uuid, as their newest reading names them", async () => {
    const response = await test.ask(PATH);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const { total, page: number, limit, items } = await page(response);
    expect({ total, number, limit }).toEqual({ total: 3, number: 1, limit: 100 });
    expect(items.map(({ uuid }) => uuid)).toEqual(["GPU-a", "GPU-b", "GPU-both"]);
    expect(items[0]).toEqual({
      ...{ companyId: "acme", uuid: "GPU-a", gpu_id: "0", device: "nvidia0", modelName: "NVIDIA H100" },
      ...{ Hostname: "host-1", firstSeen: "2026-01-31T12:00:00.000Z", lastSeen: "2026-01-31T12:00:09.000Z" },
    });
  });

  it("sort, limit and page cut it, and a page behind the last is empty", async () => {
    expect(uuids(await page(await test.ask(`${PATH}?sort=desc&limit=2`)))).toEqual([
      "acme/GPU-both",
      "acme/GPU-b",
    ]);
    const second = await page(await test.ask(`${PATH}?limit=2&page=2`));
    expect(second).toMatchObject({ total: 3, page: 2, limit: 2 });
    expect(uuids(second)).toEqual(["acme/GPU-both"]);
    expect(await page(await test.ask(`${PATH}?limit=1000&page=999999999`))).toMatchObject({
      total: 3,
      items: [],
    });
  });

  it("with times, shows those seen in between, both included", async () => {
    const between = (start: string, end: string) => test.ask(`${PATH}?start_time=${start}&end_time=${end}`);
    expect(uuids(await page(await between("2026-01-31T12:00:20Z", "2026-01-31T12:00:20Z")))).toEqual([
      "acme/GPU-b",
    ]);
    expect(uuids(await page(await between("2026-01-31t12:00:20.0z", "9999-12-31T23:59:59Z")))).toEqual([
      "acme/GPU-b",
    ]);
    expect(uuids(await page(await between("2026-01-31T17:00:09%2B05:00", "2026-01-31T12:00:19Z")))).toEqual([
      "acme/GPU-a",
    ]);
  });

  it("DEFAULT_PAGE_SIZE is what a page holds unless limit says so", async () => {
    expect(await page(await open.ask(PATH))).toMatchObject({ total: 3, limit: 2 });
    expect(await page(await open.ask(`${PATH}?limit=5`))).toMatchObject({ total: 3, limit: 5 });
  });
});

describe("GET /api/v1/gpus/:id/telemetry", () => {
  it("answers a page of readings as they came, oldest first", async () => {
    const {
      total,
      page: number,
      limit,
      items,
    } = await page(await test.ask(`${PATH}/GPU-a/telemetry?limit=4`));
    expect({ total, number, limit }).toEqual({ total: 11, number: 1, limit: 4 });
    expect(items[1]).toEqual({
      ...{ companyId: "acme", timestamp: "2026-01-31T12:00:01.000Z", metric_name: "DCGM_FI_DEV_GPU_UTIL" },
      ...{ gpu_id: "0", device: "nvidia0", uuid: "GPU-a", modelName: "NVIDIA H100", Hostname: "host-1" },
      ...{ container: "c", pod: "p", namespace: "n", value: 1, labels_raw: 'a="b"' },
    });
    expect(items.map(({ value }) => value)).toEqual([0, 1, 2, 3]);
  });

  it("every reading is on one page and on one only", async () => {
    const seen: unknown[] = [];
    for (let number = 1; ; number++) {
      const { items } = await page(
        await test.ask(`${PATH}/GPU-a/telemetry?limit=3&page=${number}&sort=desc`),
      );
      if (items.length === 0) break;
      seen.push(...items.map(({ timestamp, metric_name }) => `${timestamp} ${metric_name}`));
    }
    expect(seen).toHaveLength(11);
    expect(seen).toEqual([...new Set(seen)].toSorted().reverse());
  });

  it("metric and times leave out the others, of the total too", async () => {
    const query =
      "metric=DCGM_FI_DEV_GPU_UTIL&start_time=2026-01-31T12:00:02Z&end_time=2026-01-31T12:00:04.000Z";
    const found = await page(await test.ask(`${PATH}/GPU-a/telemetry?${query}`));
    expect(found.total).toBe(3);
    expect(found.items.map(({ value }) => value)).toEqual([2, 3, 4]);
    expect(await page(await test.ask(`${PATH}/GPU-a/telemetry?metric=NONE`))).toMatchObject({
      total: 0,
      items: [],
    });
  });

  it("a uuid of nobody, and of nobody the caller may see, is 404", async () => {
    for (const uuid of ["GPU-x", "GPU-g", "%00", "a".repeat(3_000)]) {
      const response = await test.ask(`${PATH}/${uuid}/telemetry`);
      expect(response.status).toBe(404);
      expect(await message(response)).toMatch(/^Cannot find the GPU "/);
    }
  });

  it("a uuid of several of the caller's companies takes companyId", async () => {
    const both = await token({ companies: ["acme", "globex"] });
    const asked = await test.ask(`${PATH}/GPU-both/telemetry`, { token: both });
    expect(asked.status).toBe(400);
    expect(await message(asked)).toBe(
      'Cannot tell which GPU "GPU-both" is: several companies have it, expected companyId to be one of acme, globex',
    );
    const named = await test.ask(`${PATH}/GPU-both/telemetry?companyId=globex`, { token: both });
    expect((await page(named)).items.map(({ value }) => value)).toEqual([2]);
    // Of one of them it is plain which is meant.
    expect((await page(await test.ask(`${PATH}/GPU-both/telemetry`))).items).toHaveLength(1);
  });
});

describe("the metrics API", () => {
  const BOTH = [PATH, `${PATH}/GPU-a/telemetry`];

  it.each([
    ["limit=0", 'Cannot read limit "0": expected a whole number from 1 to 1000'],
    ["limit=1001", 'Cannot read limit "1001": expected a whole number from 1 to 1000'],
    ["limit=1e2", 'Cannot read limit "1e2": expected a whole number from 1 to 1000'],
    ["limit=", 'Cannot read limit "": expected a whole number from 1 to 1000'],
    ["limit=5&limit=6", "Cannot read limit: given 2 times, expected it once"],
    ["page=0", 'Cannot read page "0": expected a whole number from 1 to 999999999'],
    ["page=9999999999", 'Cannot read page "9999999999": expected a whole number from 1 to 999999999'],
    ["sort=up", 'Cannot read sort "up": expected asc or desc'],
    [
      "start_time=yesterday",
      'Cannot read start_time "yesterday": expected RFC 3339 such as 2026-01-31T12:00:00Z (a + is written %2B)',
    ],
    [
      "end_time=2026-01-31T12:00:00+05:00",
      'Cannot read end_time "2026-01-31T12:00:00 05:00": expected RFC 3339 such as 2026-01-31T12:00:00Z (a + is written %2B)',
    ],
    ["end_time=2026-02-30T12:00:00Z", /^Cannot read end_time "2026-02-30T12:00:00Z": expected RFC 3339/],
    [
      "start_time=2026-01-31T12:00:01Z&end_time=2026-01-31T12:00:00Z",
      'Cannot read start_time "2026-01-31T12:00:01.000Z": after end_time "2026-01-31T12:00:00.000Z", expected it before',
    ],
    ["companyId=a%20b", 'Cannot read companyId "a b": expected 1-64 characters of A-Z a-z 0-9 . _ -'],
  ])("?%s is 400 and says what was wrong", async (query, expected) => {
    for (const path of BOTH) {
      const response = await test.ask(`${path}?${query}`);
      expect(response.status).toBe(400);
      expect(await message(response)).toEqual(
        typeof expected === "string" ? expected : expect.stringMatching(expected),
      );
    }
    expect((await test.ask(`${PATH}/GPU-a/telemetry?metric=`)).status).toBe(400);
  });

  it("a bearer equal to AUTH_TOKEN sees every company's, and companyId narrows", async () => {
    expect(uuids(await page(await test.ask(PATH, { token: AUTH_TOKEN })))).toEqual([
      ...["acme/GPU-a", "acme/GPU-b", "acme/GPU-both", "globex/GPU-both", "globex/GPU-g"],
    ]);
    expect(uuids(await page(await test.ask(`${PATH}?companyId=globex`, { token: AUTH_TOKEN })))).toEqual([
      ...["globex/GPU-both", "globex/GPU-g"],
    ]);
    const reading = await test.ask(`${PATH}/GPU-g/telemetry`, { token: AUTH_TOKEN });
    expect((await page(reading)).total).toBe(1);
  });

  it("a JWT sees its companies', in the header and in the cookie; of role ops every company's", async () => {
    const globex = await token({ companyId: "globex" });
    const own = ["globex/GPU-both", "globex/GPU-g"];
    expect(uuids(await page(await test.ask(PATH, { token: globex })))).toEqual(own);
    const headers = { cookie: `millrace=${globex}` };
    expect(uuids(await page(await test.ask(PATH, { token: null, headers })))).toEqual(own);
    const ops = await token({ roles: ["ops"] });
    expect((await page(await test.ask(PATH, { token: ops }))).total).toBe(5);
    expect((await page(await test.ask(`${PATH}?companyId=acme`, { token: ops }))).total).toBe(3);
    expect((await test.ask(`${PATH}?companyId=acme`, { token: globex })).status).toBe(403);
    expect((await test.ask(`${PATH}/GPU-a/telemetry?companyId=acme`, { token: globex })).status).toBe(403);
  });

  it("a company that was revoked for a JWT is no longer shown to it", async () => {
    await using revoked = await startTestApp();
    await revoked.telemetry.write(READINGS);
    const both = await token({ companies: ["acme", "globex"], iat: Math.floor(Date.now() / 1000) - 60 });
    await revoked.rules.put({ kind: "company-revoked", company: "globex" as CompanyId, atMs: Date.now() });
    const shown = uuids(await page(await revoked.ask(PATH, { token: both })));
    expect(shown).toEqual(["acme/GPU-a", "acme/GPU-b", "acme/GPU-both"]);
    expect((await revoked.ask(`${PATH}?companyId=globex`, { token: both })).status).toBe(403);
  });

  it("who shows nothing, or nothing good, is 401 and told how to ask", async () => {
    const forged = `${(await token()).slice(0, -4)}AAAA`;
    for (const path of BOTH) {
      for (const given of [null, "", "x", `${AUTH_TOKEN}x`, AUTH_TOKEN.slice(1), forged]) {
        const response = await test.ask(path, { token: given });
        expect(response.status, String(given)).toBe(401);
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
      }
      const basic = { headers: { authorization: `Basic ${btoa(`x:${AUTH_TOKEN}`)}` }, token: null };
      expect((await test.ask(path, basic)).status).toBe(401);
    }
  });

  it("without AUTH_TOKEN, who shows nothing sees everything, a bad credential nothing, and the log warns", async () => {
    expect((await page(await open.ask(PATH, { token: null }))).total).toBe(5);
    expect((await page(await open.ask(PATH))).total).toBe(3);
    expect((await open.ask(PATH, { token: "x" })).status).toBe(401);
    expect((await open.ask(PATH, { token: null, headers: { cookie: "millrace=x" } })).status).toBe(401);
    expect((await open.ask(PATH, { token: null, headers: { authorization: "Basic eDp4" } })).status).toBe(
      401,
    );
    const jwt = await token();
    expect((await open.ask(`${PATH}?token=${jwt}`, { token: null })).status).toBe(400);
    expect(open.logged().filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(test.logged().filter(({ level }) => level === "warn")).toHaveLength(0);
  });

  it("a JWT in the URL is refused, whatever else is shown", async () => {
    const jwt = await token();
    for (const path of BOTH) {
      for (const given of [AUTH_TOKEN, null]) {
        const response = await test.ask(`${path}?x=${jwt}`, { token: given });
        expect(response.status, String(given)).toBe(400);
        const said = await message(response);
        expect(said).toMatch(/^Cannot take a token from the URL parameter "x": /);
        expect(said).not.toContain(jwt);
      }
    }
  });

  it("with AUTH_MODE=none everything is shown, unless AUTH_TOKEN is set", async () => {
    const settings = { AUTH_MODE: "none" as const };
    const authenticator = createNoAuthenticator();
    await using guarded = await startTestApp({ settings, authenticator });
    await using free = await startTestApp({
      settings: { ...settings, AUTH_TOKEN: undefined },
      authenticator,
    });
    await Promise.all([guarded, free].map(({ telemetry }) => telemetry.write(READINGS)));
    expect((await page(await free.ask(PATH, { token: null }))).total).toBe(5);
    expect((await page(await guarded.ask(PATH, { token: AUTH_TOKEN }))).total).toBe(5);
    for (const given of [null, "x"]) expect((await guarded.ask(PATH, { token: given })).status).toBe(401);
    expect((await free.ask(`http://millrace.example${PATH}`, { token: null })).status).toBe(403);
    expect(free.logged().filter(({ level }) => level === "warn")).toHaveLength(0);
  });

  it("another method is 405, and a store that is away 503 with Retry-After", async () => {
    for (const path of BOTH) {
      const response = await test.ask(path, { method: "POST" });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
    await using gone = await startTestApp();
    await gone.telemetry.write(READINGS);
    await gone.telemetry[Symbol.asyncDispose]();
    for (const path of BOTH) {
      const response = await gone.ask(path);
      expect(response.status, await response.clone().text()).toBe(503);
      expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    }
    // Said once for the same reason, however many ask.
    for (let n = 0; n < 20; n++) await gone.ask(PATH);
    const said = gone.logged().filter(({ level }) => level === "warn");
    expect(said.map(({ fields }) => fields.reason)).toEqual([
      expect.stringMatching(/telemetry store: it is closed/),
    ]);
    expect(JSON.stringify(said)).not.toContain("stack");
  });
});
