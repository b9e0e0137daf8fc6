import { describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { BridgeReport, Pipeline } from "../../functions/core/pipeline.ts";
import { startTestApp, token } from "./test-app.ts";

const PATH = "/api/pipeline";
const report = (rate: number): BridgeReport => ({
  upMs: 60_000,
  sources: [
    {
      ...{ name: "orders", kind: "ibm-mq", state: "up", rate, appended: 12, redelivered: 1 },
      ...{ deadLetters: 3, lag: 4, lastEventAt: "2026-01-31T12:00:00.000Z" },
    },
  ],
});

describe("GET /api/pipeline", () => {
  it("is for the role ops, or where nobody is asked", async () => {
    await using test = await startTestApp();
    const status = async (claims: Record<string, unknown> | null) =>
      (await test.ask(PATH, { token: claims && (await token(claims)) })).status;
    expect(await status(null)).toBe(401);
    expect(await status({ companyId: "acme" })).toBe(403);
    expect(await status({ companies: ["acme", "_operations"] })).toBe(403);
    expect(await status({ companyId: "acme", roles: ["OPS"] })).toBe(403);
    expect(await status({ roles: ["ops"] })).toBe(200);
    await using open = await startTestApp({
      ...{ authenticator: createNoAuthenticator(), settings: { AUTH_MODE: "none" } },
    });
    expect((await open.ask(`http://127.0.0.1${PATH}`, { token: null })).status).toBe(200);
  });

  it("puts together the sources of all bridges, the log, and the connections of all instances", async () => {
    await using test = await startTestApp();
    await test.append("acme", 3);
    await test.append("globex", 2);
    await test.registry.reportBridge("b", report(1.25));
    await test.registry.reportBridge("a", report(0.5));
    const elsewhere = { acme: 3, initech: 2 } as Record<CompanyId, number>;
    await test.registry.report("another", { connectionsByCompany: elsewhere });
    const stream = await test.open("/stream/updates?companyId=acme&lastEventId=0.0-0");
    await stream.until("event: ");
    const response = await test.ask(PATH, { token: await token({ roles: ["ops"] }) });
    expect(response.headers.get("cache-control")).toBe("no-store");
    const { sources, ...rest } = (await response.json()) as Pipeline;
    expect(sources).toEqual(
      ["a", "b"].map((instance, at) => ({
        ...report([0.5, 1.25][at]!).sources[0],
        ...{ instance, reportedAt: expect.stringMatching(/^20/) },
      })),
    );
    expect(rest).toEqual({
      log: { store: "embedded", companies: 2, events: 5, rate: 1.8, up: true },
      connections: { total: 6, activeCompanies: 2, instances: 2 },
      timestamp: expect.stringMatching(/^20/),
    });
  });

  it("asks the store once a second, whoever asks", async () => {
    await using test = await startTestApp();
    let [surveys, sizes] = [0, 0];
    const registry = {
      ...test.registry,
      survey: (except: string) => {
        surveys++;
        return test.registry.survey(except);
      },
    };
    const log = Object.assign(Object.create(test.log), {
      stats: () => {
        sizes++;
        return test.log.stats();
      },
    });
    await using counted = await startTestApp({
      ...{ deps: { registry, log }, authenticator: createNoAuthenticator() },
    });
    const ask = () => counted.ask(PATH, { token: null });
    const first = await (await ask()).text();
    for (let n = 0; n < 20; n++) expect(await (await ask()).text()).toBe(first);
    expect([surveys, sizes]).toEqual([1, 1]);
  });

  it("says where the log is, and 503 with Retry-After while it is away", async () => {
    const unavailable = async () => {
      throw new MillraceError("unavailable", "Cannot reach redis://:secret@there");
    };
    await using test = await startTestApp({
      ...{ settings: { REDIS_URL: "redis://127.0.0.1:1" }, authenticator: createNoAuthenticator() },
    });
    expect(((await (await test.ask(PATH)).json()) as Pipeline).log.store).toBe("redis");
    for (const deps of [
      { registry: { ...test.registry, survey: unavailable } },
      { log: Object.assign(Object.create(test.log), { stats: unavailable }) },
    ]) {
      await using away = await startTestApp({ deps, authenticator: createNoAuthenticator() });
      const response = await away.ask(PATH);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(await response.text()).not.toContain("there");
    }
  });
});
