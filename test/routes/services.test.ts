/** The streams of the operator's services: who may see them, what they show, and how they end. */
import { afterEach, describe, expect, it } from "vitest";
import type { LiveRequest } from "../../functions/ports/live.ts";
import { lineOf, statusOf } from "../services/services-support.ts";
import { waitFor } from "../support/wait.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const STATUS = "/api/services/status/stream";
const LINES = "/api/services/logs/stream";
const SSE = { accept: "text/event-stream" };

let test: TestApp | undefined;
const start = async (...options: Parameters<typeof startTestApp>) => {
  test = await startTestApp(...options);
  return test;
};
afterEach(async () => {
  await test?.[Symbol.asyncDispose]();
  test = undefined;
});
const ops = (claims: object = {}) => token({ sub: "operator", roles: ["ops"], ...claims });

/** Frames of events: their names, ids and data. */
function framesOf(text: string) {
  return text.split("\n\n").flatMap((frame) => {
    const lines = frame.split("\n");
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field("data");
    return data === undefined ? [] : [{ event: field("event"), id: field("id"), data: JSON.parse(data) }];
  });
}
const messages = (text: string) =>
  framesOf(text).flatMap(({ event, data }) => (event === "log_line" ? [data.message] : []));

describe("who may see the services", () => {
  it.each([
    [STATUS, "_operations"],
    [LINES, "_logs"],
  ])("%s: the role ops, and whom the token's issuer lets read %s", async (path, company) => {
    const { ask } = await start();
    const answer = async (claims: Record<string, unknown> | null) => {
      const response = await ask(path, { headers: SSE, token: claims && (await token(claims)) });
      const { status } = response;
      if (status === 200) await response.body!.cancel();
      return status === 200 ? 200 : [status, (await json(response)).error];
    };
    expect(await answer({ roles: ["ops"] })).toBe(200);
    expect(await answer({ companyId: "acme", roles: ["ops"] })).toBe(200);
    expect(await answer({ companies: ["acme", company] })).toBe(200);
    const other = company === "_logs" ? "_operations" : "_logs";
    for (const claims of [
      { companyId: "acme" },
      { companyId: other },
      { companyId: "acme", roles: ["admin", "OPS"] },
    ]) {
      expect(await answer(claims)).toEqual([403, "Forbidden"]);
    }
    expect(await answer(null)).toEqual([401, "Unauthorized"]);
    const refused = await ask(path, { headers: SSE });
    expect(await json(refused)).toEqual({
      error: "Forbidden",
      message: "Only the role ops sees the operator's services: ask with a token of that role",
    });
  });

  it.each([STATUS, LINES])("%s: with a ticket, once, and from an origin that is let in", async (path) => {
    const { ask, open } = await start({ settings: { CORS_ORIGINS: ["https://app.example"] } });
    const { ticket } = await json(await ask("/stream/tickets", { method: "POST", token: await ops() }));
    const url = `${path}?ticket=${ticket}`;
    const headers = { ...SSE, origin: "https://app.example" };
    const stream = await open(url, { headers, token: null });
    expect(stream.response.status).toBe(200);
    expect(stream.response.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(stream.response.headers.get("set-cookie")).toContain("HttpOnly");
    expect((await ask(url, { headers, token: null })).status).toBe(401);
    expect((await ask(path, { method: "POST", token: await ops() })).status).toBe(405);
    expect((await ask(path, { method: "HEAD", token: await ops() })).status).toBe(405);
  });

  it.each([
    ["service=", /Cannot read service "": expected 1-64 characters of A-Z a-z 0-9 \. _ -/],
    ["service=a%20b", /Cannot read service "a b"/],
    [`service=${"a".repeat(65)}`, /Cannot read service/],
    ["level=loud", /Cannot read level "loud": expected debug or info or warn or error/],
    ["level=warn&level=info", /Cannot read level: given 2 times/],
    ["lastEventId=x", /Cannot read lastEventId "x"/],
  ])("the log stream asked with %s is a bad request that says so", async (query, message) => {
    const { ask } = await start();
    const response = await ask(`${LINES}?${query}`, { headers: SSE, token: await ops() });
    expect(response.status).toBe(400);
    expect(await json(response)).toEqual({ error: "Bad Request", message: expect.stringMatching(message) });
  });

  it("what is wanted is plain data, of the company whose log it is", async () => {
    const asked: LiveRequest[] = [];
    const { ask } = await start({
      deps: {
        live: {
          open: async (_request: unknown, wanted: LiveRequest) => {
            asked.push(wanted);
            return new Response(null);
          },
        } as never,
      },
    });
    const bearer = await ops();
    await ask(STATUS, { token: bearer });
    await ask(`${LINES}?service=a&level=warn&lastEventId=0.0-1`, {
      token: bearer,
      headers: { "last-event-id": "0.0-2" },
    });
    await ask(LINES, { token: bearer });
    expect(JSON.parse(JSON.stringify(asked))).toEqual([
      { kind: "status", transport: "sse", principal: expect.anything() },
      {
        ...{ kind: "lines", service: "a", level: "warn", after: "0.0-2", transport: "sse" },
        principal: expect.anything(),
      },
      { kind: "lines", level: "debug", transport: "sse", principal: expect.anything() },
    ]);
  });
});

describe("the status stream", () => {
  it("is a snapshot, then what changes", async () => {
    const { open, log } = await start();
    await log.append([statusOf("sync", { queueSize: 3 })]);
    const stream = await open(STATUS, { headers: SSE, token: await ops() });
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
    await stream.until("event: snapshot");
    expect(stream.text()).toMatch(/^retry: 3000\n\nevent: snapshot\ndata: \{"services":\[\{"name":"sync"/);
    await log.append([statusOf("sync", { queueSize: 4 }), statusOf("other", { queueSize: 5 })]);
    await stream.until('"queueSize":5');
    expect(
      framesOf(stream.text()).map(({ event, data }) => [event, data.name ?? data.services.length]),
    ).toEqual([
      ["snapshot", 1],
      ["service_status", "sync"],
      ["service_status", "other"],
    ]);
  });

  it("ends when the token does, on revocation, and on drain, and is refused over the limit", async () => {
    const { open, ask, board } = await start({ board: { maxConnectionsPerCompany: 2 } });
    const soon = await ops({ exp: undefined });
    const one = await open(STATUS, { headers: SSE, token: soon });
    await one.until("event: snapshot");
    const short = await token({ roles: ["ops"] }, Math.floor(Date.now() / 1000) + 2);
    const two = await open(STATUS, { headers: SSE, token: short });
    await two.until("event: snapshot");
    const busy = await open(STATUS, { headers: SSE, token: await ops() });
    await busy.until("event: busy");
    expect((await ask(STATUS, { token: await ops(), headers: { accept: "text/html" } })).status).toBe(429);
    await two.until("event: reauthenticate");
    await two.end();

    const answer = await ask("/admin/revocations", {
      ...{ method: "POST", body: JSON.stringify({ subject: "operator" }) },
      token: await token({ sub: "other", roles: ["ops"] }),
    });
    expect(answer.status).toBeLessThan(300);
    await one.end();
    const fresh = await open(STATUS, { headers: SSE, token: await token({ sub: "x", roles: ["ops"] }) });
    await fresh.until("event: snapshot");
    await board.drain(0);
    await fresh.end();
    expect(fresh.text()).toMatch(/retry: \d+\n\n$/);
    const refused = await open(STATUS, { headers: SSE, token: await token({ sub: "x", roles: ["ops"] }) });
    await refused.until("event: draining");
  });

  it("is switched off with the feature of its company", async () => {
    const { open, ask } = await start();
    const bearer = await ops();
    const [status, lines] = [await open(STATUS, { token: bearer }), await open(LINES, { token: bearer })];
    for (const company of ["_operations", "_logs"]) {
      const put = await ask(`/admin/companies/${company}/features`, {
        ...{ method: "PUT", body: '{"streaming":false}', token: bearer },
      });
      expect(put.status).toBe(200);
    }
    for (const stream of [status, lines]) {
      await stream.until("event: disabled");
      await stream.end();
    }
    await (await open(LINES, { token: bearer, headers: SSE })).until("event: disabled");
  });
});

describe("the log stream", () => {
  it("is the newest 200 lines in order, then live, nothing lost and nothing twice", async () => {
    const { open, log } = await start();
    const expected: string[] = [];
    const append = async (count: number) => {
      const first = expected.length;
      const lines = Array.from({ length: count }, (_, n) => `line ${first + n}`);
      expected.push(...lines);
      await log.append(lines.map((line) => lineOf("s", line)));
    };
    await append(450);
    const streams = [];
    for (let round = 0; round < 10; round++) {
      const appending = append(7);
      const stream = await open(LINES, { token: await ops() });
      streams.push({ stream, atMost: 450 + 7 * (round + 1) });
      await appending;
    }
    await append(5);
    for (const { stream, atMost } of streams) {
      await stream.until(expected.at(-1)!);
      const got = messages(stream.text());
      expect(got).toEqual(expected.slice(expected.length - got.length));
      expect(got.length).toBeGreaterThanOrEqual(200 + expected.length - atMost);
      expect(stream.text()).not.toContain("event: gap");
    }
    const frame = framesOf(streams[0]!.stream.text())[0]!;
    expect(frame).toEqual({
      ...{ event: "log_line", id: expect.stringMatching(/^\w+\.\d+-\d+$/) },
      data: {
        ...{ companyId: "_logs", ts: "2026-01-31T12:00:00Z", level: "info", service: "s" },
        message: expect.stringContaining("line "),
      },
    });
  });

  it("shows one service from one level on, and resumes where it was with the same filter", async () => {
    const { open, log } = await start();
    const append = (mark: string) =>
      log.append(
        ["a", "b"].flatMap((service) =>
          ["debug", "info", "warn", "error"].map((level) =>
            lineOf(service, `${mark} ${service} ${level}`, level),
          ),
        ),
      );
    await append("first");
    const bearer = await ops();
    const query = `${LINES}?service=a&level=warn`;
    const stream = await open(query, { token: bearer });
    await stream.until("first a error");
    await append("second");
    await stream.until("second a error");
    expect(messages(stream.text())).toEqual([
      ...["first a warn", "first a error"],
      ...["second a warn", "second a error"],
    ]);
    const last = framesOf(stream.text()).at(-1)!.id!;
    await stream.close();
    await append("third");
    for (const resumed of [
      await open(`${query}&lastEventId=${last}`, { token: bearer }),
      await open(`${query}&lastEventId=0.0-0`, { token: bearer, headers: { "last-event-id": last } }),
    ]) {
      await resumed.until("third a error");
      expect(messages(resumed.text())).toEqual(["third a warn", "third a error"]);
    }
    const worst = await open(`${LINES}?level=error`, { token: bearer });
    await worst.until("third b error");
    expect(messages(worst.text())).toEqual(
      ["first", "second", "third"].flatMap((mark) => [`${mark} a error`, `${mark} b error`]),
    );
  });

  it("shows a line as it was stored, whatever is in it", async () => {
    const { open, log } = await start();
    const message = 'two\nlines\r\n\n\ndata: no \u2028 "quoted" \\ ünï 漢 \u0000 event: gap';
    await log.append([lineOf("s", message)]);
    const stream = await open(LINES, { token: await ops() });
    await stream.until("event: log_line");
    expect(framesOf(stream.text()).map(({ data }) => data.message)).toEqual([message]);
  });

  it("counts for its company, and is refused over the limit like any other", async () => {
    const { open, ask, hub, log } = await start();
    await log.append([lineOf("s", "x")]);
    const bearer = await ops();
    const put = await ask("/admin/companies/_logs/features", {
      ...{ method: "PUT", body: '{"maxConnections":3}', token: bearer },
    });
    expect(put.status).toBe(200);
    const streams = await Promise.all(
      Array.from({ length: 8 }, () => open(LINES, { token: bearer, headers: SSE })),
    );
    await waitFor("answers", () => streams.every(({ text }) => text() !== ""));
    await waitFor(
      "refusals",
      () => streams.filter(({ text }) => text().includes("event: busy")).length === 5,
    );
    expect(hub.stats().connectionsByCompany).toEqual({ _logs: 3 });
  });
});
