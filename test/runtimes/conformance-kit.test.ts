/** The conformance kit itself: it passes a server without fault, and finds each fault where it is. */
import { describe, expect, it } from "vitest";
import type { Check } from "../../bin/conformance/check.ts";
import { runConformance } from "../../bin/conformance/main.ts";
import { prepare, type Result, type Session } from "../../bin/conformance/run.ts";
import { TARGET_DEFAULTS, type Target } from "../../bin/conformance/target.ts";
import { describeHttpContract } from "../contracts/http.ts";
import { missingPeer, type PeerName, startPeer } from "../support/peers/peers.ts";
import type { Defect } from "../support/peers/reference/defects.ts";
import { type ReferenceOptions, startReferenceServer } from "../support/peers/reference/server.ts";
import { freePort } from "../support/process.ts";

const TOKENS = { own: fakeJwt("acme"), other: fakeJwt("globex") };

/** In the form of a JWT: the reference server compares tokens as they are. */
function fakeJwt(company: string, exp = 9_999_999_999): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256", typ: "JWT" })}.${part({ companyId: company, exp })}.${"s".repeat(43)}`;
}

async function startReference(options: ReferenceOptions = {}) {
  const server = await startReferenceServer({ heartbeatMs: 300, ...options });
  const target: Target = {
    ...TARGET_DEFAULTS,
    url: server.url,
    publisher: server.publisher,
    heartbeatMs: server.heartbeatMs,
    patienceMs: 6_000,
    ...(options.tokens
      ? { token: TOKENS.own, otherToken: TOKENS.other, mintToken: mintInto(options.tokens) }
      : {}),
  };
  return { target, [Symbol.asyncDispose]: server.stop };
}

/** Tokens of this server alone: those that are made come to them. */
const withTokens = () => ({ tokens: { [TOKENS.own]: "acme", [TOKENS.other]: "globex" } });
const mintInto =
  (tokens: Record<string, string>): NonNullable<Target["mintToken"]> =>
  async (company, seconds) => {
    const token = fakeJwt(company, Date.now() / 1000 + seconds);
    tokens[token] = company;
    return token;
  };

/** What the reference server has nothing of: their defects are planted in Millrace itself (conformance-products.test.ts). */
const PRODUCTS = ["telemetry", "services", "graphql", "openapi", "pipeline"];
const reference = { name: "the reference server", compresses: false, drains: false, lacks: PRODUCTS };
describeHttpContract({ ...reference, mode: "open", start: () => startReference() });
describeHttpContract({ ...reference, mode: "auth", start: () => startReference(withTokens()) });
describeHttpContract({
  ...reference,
  mode: "disabled",
  start: () => startReference({ disabled: true }),
});

/**
 * Most checks at once, as they wait more than they work; apart, those that would be noise to the others. What takes long runs only where it is
 * the one that must find something.
 */
async function performAll(session: Session, must: readonly string[]): Promise<Result[]> {
  const results: Result[] = [];
  const isForeign = ({ id, area }: Check) =>
    ["tenant", "history"].includes(area) || id === "web-socket.tenant";
  const heavy = (id: string) => id.startsWith("slow.") || id === "resume.long-absence";
  const perform = async (checks: readonly Check[]) => {
    results.push(...(await Promise.all(checks.map((check) => session.perform(check)))));
  };
  const withSlow = must.some((id) => id.startsWith("slow."));
  const takesLong = ({ id, area }: Check) => (area === "slow" && !withSlow) || id === "renewal.expired";
  const checks = session.checks.filter(
    (check) => must.includes(check.id) || !(takesLong(check) || PRODUCTS.includes(check.area)),
  );
  const one = checks.filter(({ id, stage }) => heavy(id) || stage === "alone");
  const together = checks.filter((check) => !one.includes(check));
  await perform(together.filter((check) => !isForeign(check)));
  await perform(together.filter(isForeign));
  for (const check of one) await perform([check]);
  return results;
}

/** What each failed check saw, by its name. */
const failed = (results: readonly Result[]): Map<string, string> =>
  new Map(
    results.flatMap(({ check, outcome }) =>
      outcome.kind === "fail" ? [[check.id, outcome.seen] as const] : [],
    ),
  );

/**
 * As performAll, and then once more, one by one, what is not as wanted: a machine that stands still for seconds fails checks of their
 * patience, a defect fails them again.
 */
async function performTwice(session: Session, must: readonly string[], may: readonly string[]) {
  const found = failed(await performAll(session, must));
  const isOdd = (id: string) => (must.includes(id) ? !found.has(id) : found.has(id) && !may.includes(id));
  for (const check of session.checks.filter(({ id }) => isOdd(id))) {
    const again = failed([await session.perform(check)]);
    found.delete(check.id);
    for (const [id, seen] of again) found.set(id, seen);
  }
  return found;
}

const RESUME = [
  ...["seam", "reconnects", "query", "header-wins", "long-absence"].map((name) => `resume.${name}`),
  ...["resume", "seam", "tenant"].map((name) => `web-socket.${name}`),
];

/** Every defect with the checks that must find it, and those that may notice it too. */
const DEFECTS: Readonly<Record<Defect, readonly [must: readonly string[], may?: readonly string[]]>> = {
  "allows-any-origin": [["headers.cors"]],
  "blocks-on-slow-client": [["slow.others"], ["slow.catches-up", "slow.drop-oldest", "slow.web-socket"]],
  "body-of-401-repeats-token": [["auth.forged"]],
  buffers: [
    ["live.delivery", "wire.first-bytes", "wire.retry"],
    ["heartbeat.comment", "renewal.renewed"],
  ],
  "compresses-declined": [["compression.asked"]],
  "compresses-unasked": [["headers.identity"]],
  "cookie-for-scripts": [["tickets.once"]],
  "cookie-forgotten": [["tickets.cookie"]],
  "counts-twice": [["counters.dashboard"]],
  "cuts-slow-client": [
    ["slow.catches-up"],
    ["slow.drop-oldest", "slow.others", "slow.web-socket", "resume.long-absence"],
  ],
  "drops-at-seam": [
    ["resume.seam"],
    ["resume.reconnects", "resume.long-absence", "web-socket.resume", "web-socket.seam", "web-socket.tenant"],
  ],
  "forged-token-passes": [["auth.forged"]],
  "forgets-clients-never": [["cleanup.gone"]],
  "gap-never-said": [["gap.foreign-epoch", "gap.future", "gap.once", "web-socket.gap"]],
  "head-hangs": [["status.head"]],
  "header-loses-to-query": [["resume.header-wins"]],
  "heartbeat-missing": [["heartbeat.comment", "heartbeat.web-socket"]],
  "history-skips": [["history.pages"], ["history.latest"]],
  "ids-missing": [["wire.id"]],
  "ids-with-colons": [["cursor.syntax"]],
  "latest-is-behind": [["history.latest"]],
  "leaks-live": [["tenant.live", "web-socket.tenant"], ["tenant.foreign-cursor"]],
  "leaks-replay": [["tenant.replay", "web-socket.tenant"]],
  "line-breaks-not-escaped": [["injection.data"], ["wire.fields"]],
  "refuses-with-text": [
    ["status.bad-company", "status.bad-cursor", "status.bad-type"],
    [
      ...["history.refusals", "auth.other-company", "auth.token-in-url"],
      ...["counters.scope", "tickets.refused", "web-socket.refusals", "web-socket.auth"],
    ],
  ],
  "outlives-token": [["renewal.expired"]],
  "renewal-ignored": [["renewal.renewed"]],
  "renewal-unchecked": [["renewal.refused"]],
  "repeats-last-event": [["resume.every-point", "resume.nothing-missed"], RESUME],
  "replay-out-of-order": [["resume.every-point"], [...RESUME, "filters.resume"]],
  "retry-missing": [["wire.retry", "web-socket.same"]],
  "socket-any-origin": [["web-socket.refusals"]],
  "socket-ignores-cursor": [
    ["web-socket.resume"],
    ["web-socket.seam", "web-socket.tenant", "web-socket.gap"],
  ],
  "socket-leaks": [["web-socket.tenant"]],
  "socket-rounds-numbers": [["web-socket.same"]],
  "socket-silent": [["heartbeat.web-socket"]],
  "skipped-do-not-move-cursor": [["filters.cursor", "web-socket.filters"]],
  "ticket-for-all": [["tickets.refused"]],
  "ticket-twice": [["tickets.once", "tickets.web-socket"]],
  "token-in-url-passes": [["auth.token-in-url"], ["web-socket.auth"]],
  "type-filter-ignored": [
    ["filters.types", "web-socket.filters"],
    ["filters.cursor", "filters.resume"],
  ],
  "unchecked-cursor": [["status.bad-cursor", "web-socket.refusals"], ["history.refusals"]],
  "unflushed-compression": [["buffering.compressed", "compression.each-event"]],
  "utf8-cut": [["wire.text"]],
  "wrong-content-type": [["wire.content-type"]],
};

describe("conformance kit", () => {
  for (const [defect, [must, may = []]] of Object.entries(DEFECTS)) {
    it.concurrent(`finds the defect ${defect} and blames nothing else`, async () => {
      await using server = await startReference({ ...withTokens(), defect: defect as Defect });
      const session = await prepare({ ...server.target, profile: "millrace", patienceMs: 3_000 });
      const found = await performTwice(session, must, may);
      expect([...found.keys()]).toEqual(expect.arrayContaining([...must]));
      expect([...found].filter(([id]) => !must.includes(id) && !may.includes(id))).toEqual([]);
    });
  }
});

describe("conformance kit on peers", () => {
  /** The report of the CLI on a peer. */
  async function check(name: PeerName, keepEvents: number, only: readonly string[]) {
    const peer = await startPeer(name, { keepEvents });
    const lines: string[] = [];
    try {
      const code = await runConformance(
        {
          url: peer.url,
          streamPath: peer.streamPath,
          publish: `${peer.url}/publish?companyId={company}&type={type}`,
          patience: 3,
          only,
          json: true,
        },
        (text) => lines.push(text),
      );
      return { code, report: JSON.parse(lines.join("\n")) as Report };
    } finally {
      await peer.stop();
    }
  }
  interface Report {
    readonly profile: string;
    readonly score: { readonly percent: number };
    readonly checks: readonly { readonly id: string; readonly outcome: string; readonly detail: string }[];
  }
  const outcomes = ({ checks }: Report) => Object.fromEntries(checks.map(({ id, outcome }) => [id, outcome]));
  const ONLY = ["wire.event", "headers", "buffering", "resume", "injection", "tenant.live"];

  it.concurrent("streamSSE without replay: live is fine, resume is not", async () => {
    const { code, report } = await check("hono-stream-sse", 0, ONLY);
    expect(code).toBe(1);
    expect(report.profile).toBe("sse");
    expect(report.score.percent).toBeLessThan(90);
    expect(outcomes(report)).toMatchObject({
      "wire.event": "pass",
      "buffering.separate": "pass",
      "tenant.live": "pass",
      "injection.data": "pass",
      "headers.not-transformed": "fail",
      "headers.http-1.0": "fail",
      "resume.every-point": "fail",
      "resume.seam": "fail",
      "resume.reconnects": "fail",
    });
  });

  it.concurrent("better-sse with a history of the application: everything this profile asks", async () => {
    const { code, report } = await check("better-sse", 10_000, ONLY);
    expect(report.checks.filter(({ outcome }) => outcome === "fail")).toEqual([]);
    expect(code).toBe(0);
    expect(report.score.percent).toBe(100);
  });

  it.concurrent("nchan: resume is exact, a carriage return in a payload is not escaped", async (context) => {
    const reason = missingPeer("nchan");
    if (reason) context.skip(reason);
    const { code, report } = await check("nchan", 10_000, ONLY);
    expect(code).toBe(1);
    expect(outcomes(report)).toMatchObject({
      "resume.every-point": "pass",
      "resume.seam": "pass",
      "resume.reconnects": "pass",
      "tenant.live": "pass",
      "injection.data": "fail",
    });
  });
});

describe("runConformance", () => {
  const run = async (options: Parameters<typeof runConformance>[0]) => {
    const lines: string[] = [];
    const code = await runConformance(options, (text) => lines.push(text));
    return { code, text: lines.join("\n") };
  };

  it("prints the score and exits with 0 where nothing failed, without a publisher too", async () => {
    await using server = await startReference();
    const { code, text } = await run({ url: server.target.url, only: ["headers", "status"] });
    expect(text).toMatch(/^http:\S+\/stream\/updates, profile millrace$/m);
    expect(text).toMatch(/^MUST {4}\d+ of \d+ passed, 0 not run$/m);
    expect(text).toMatch(/^score {3}100 %$/m);
    expect(code).toBe(0);
  });

  it("compares two clients on traffic that is not its own", async () => {
    await using server = await startReference();
    const tick = setInterval(() => {
      void server.target.publisher?.publish("acme", [{ type: "ambient", data: '{"a":1}' }]);
    }, 20);
    try {
      const { code, text } = await run({ url: server.target.url, patience: 6, only: ["resume.reconnects"] });
      expect(text).toMatch(/pass {2}MUST {4}resume.reconnects/);
      expect(code).toBe(0);
    } finally {
      clearInterval(tick);
    }
  });

  it("says what is missing where it cannot look, and does not call it a pass", async () => {
    await using server = await startReference();
    const { code, text } = await run({ url: server.target.url, patience: 1, only: ["order"] });
    expect(text).toContain("not run: needs a publisher (--publish)");
    expect(text).toContain("score   none: nothing could be run");
    expect(code).toBe(1);
  });

  it("refuses bad usage with 2 and an unreachable server with 1", async () => {
    expect(await run({ url: "nonsense" })).toMatchObject({ code: 2 });
    expect(await run({ url: "http://127.0.0.1:1", publish: "ftp://x" })).toMatchObject({ code: 2 });
    expect(await run({ url: "http://127.0.0.1:1", patience: 0 })).toMatchObject({ code: 2 });
    const { code, text } = await run({ url: `http://127.0.0.1:${await freePort()}` });
    expect(text).toMatch(/^Cannot check http:.*ECONNREFUSED/);
    expect(code).toBe(1);
  });
});
