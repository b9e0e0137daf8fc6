/**
 * Cross-company probes on every route there is: one who may read acme, and tries everything to be shown something of globex. The list of
 * routes is the app's own, so a route that is added without saying here what it shows fails the test.
 */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { parseEvent } from "../../functions/core/event.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { READING_LABELS, type Reading, type ReadingLabels } from "../../functions/core/reading.ts";
import { waitFor } from "../support/wait.ts";
import { token } from "./test-app.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

/** In every event of the others: in id, type and data. */
const SECRET = "not-for-acme";
/** In every event of acme. */
const OWN = "for-acme";
/** Whose events acme must not see: another company, those whose names a careless comparison takes for acme, the operator's own. */
const OTHERS = ["globex", "ACME", "Acme", "acme.", "acme-2", "_operations", "_logs", "acm"];

interface RouteProbes {
  /** A query with which acme's own is shown, so that the probes are known to look at something; undefined: nothing of a company ever is. */
  readonly shows?: string;
  /** What is shown of acme's. */
  readonly own?: string;
  /** What `:id` in the path is; default the name of another company. */
  readonly id?: string;
  /** A GraphQL document that every probe asks for. */
  readonly document?: string;
}

const ROUTES: Readonly<Record<string, RouteProbes>> = {
  "/stream/updates": { shows: "companyId=acme&lastEventId=0.0-0", own: OWN },
  "/ws/updates": { shows: "companyId=acme&lastEventId=0.0-0", own: OWN },
  "/stream/history": { shows: "companyId=acme", own: OWN },
  "/sse": { shows: "companyId=acme", own: OWN },
  "/api/metrics": { shows: "companyId=acme", own: OWN },
  "/stream/dashboard": { shows: "companyId=acme", own: "audit.txn" },
  "/ws/dashboard": { shows: "companyId=acme", own: "audit.txn" },
  "/api/services/status/stream": {},
  "/api/services/logs/stream": {},
  "/stream/stats": { shows: "", own: '"acme":' },
  "/api/v1/gpus": { shows: "", own: OWN },
  // Everybody has one of that uuid.
  "/api/v1/gpus/:id/telemetry": { shows: "", own: OWN, id: "GPU-1" },
  "/api/graphql": {
    ...{ shows: "companyId=acme", own: OWN },
    document: "{ events(first: 100) { items { cursor id type data } next } tickets { items { id } } }",
  },
  "/api/graphql/stream": {
    ...{ shows: "companyId=acme", own: OWN },
    document: 'subscription { events(after: "0.0-0") { cursor event { id type data } gap { resumedAt } } }',
  },
  "/openapi.yaml": {},
  "/openapi.json": {},
  "/stream/tickets": {},
  "/stream/renew": {},
  "/stream/health": {},
  "/api/pipeline": {},
  "/healthz": {},
  "/ready": {},
  "/metrics": {},
  "/admin/companies/:id/features": {},
  "/admin/revocations": {},
};

const SHOWS_EVENTS = [
  ...["/stream/updates", "/ws/updates", "/stream/history"],
  ...["/api/graphql", "/api/graphql/stream"],
];

interface Probe {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: string;
}

interface Heard {
  readonly probe: Probe;
  status: number;
  /** Head and body. */
  text: string;
  ended: boolean;
  close(): void;
}

let test: TestServer;
let tokens: { acme: string; globex: string; ops: string };
let cursors: Record<string, string>;
let appended = 0;

beforeAll(async () => {
  test = await startTestServer();
  tokens = {
    acme: await token({ sub: "a", companyId: "acme" }),
    globex: await token({ sub: "g", companyId: "globex" }),
    ops: await token({ sub: "o", roles: ["ops"] }),
  };
  cursors = Object.fromEntries(
    await Promise.all(OTHERS.map(async (company) => [company, (await append(company))[0]!])),
  );
  cursors.acme = (await append("acme"))[0]!;
  await test.telemetry.write(["acme", ...OTHERS].map(reading));
});
afterAll(() => test?.[Symbol.asyncDispose]());

/** One event each; resolves with its cursors. */
async function append(...companies: string[]): Promise<string[]> {
  const events = companies.map((companyId) => {
    const mark = companyId === "acme" ? OWN : SECRET;
    const type = companyId === "acme" || appended % 2 === 0 ? "audit.txn" : `t.${mark}`;
    // Not `-2`: that would be the name of another one.
    const id = `${mark}-n${appended++}`;
    const dataText = `{"companyId":"${companyId}","mark":"${id}"}`;
    return parseEvent({ companyId, source: "/test", id, type, dataText });
  });
  return (await test.log.append(events)).map(({ cursor }) => cursor);
}

function reading(company: string): Reading {
  const mark = company === "acme" ? OWN : SECRET;
  const labels = Object.fromEntries(READING_LABELS.map((name) => [name, mark])) as ReadingLabels;
  const companyId = company as CompanyId;
  return {
    companyId,
    uuid: "GPU-1",
    metric_name: "DCGM_FI_DEV_GPU_UTIL",
    timeMs: Date.now(),
    value: 1,
    labels,
  };
}

function ask(probe: Probe): Heard {
  const isSocket = probe.headers.upgrade === "websocket";
  return isSocket ? askSocket(probe) : askHttp(probe);
}

function askHttp(probe: Probe): Heard {
  const abort = new AbortController();
  const heard: Heard = { probe, status: 0, text: "", ended: false, close: () => abort.abort() };
  const read = async () => {
    const { path, headers, method = "GET", body } = probe;
    const response = await fetch(test.url + path, {
      ...{ method, headers, signal: abort.signal, redirect: "manual" },
      ...(body === undefined ? {} : { body }),
    });
    heard.status = response.status;
    heard.text = JSON.stringify([...response.headers]);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) heard.text += decoder.decode(chunk, { stream: true });
  };
  void read()
    .catch(() => {})
    .finally(() => {
      heard.ended = true;
    });
  return heard;
}

function askSocket(probe: Probe): Heard {
  const { upgrade: _, ...headers } = probe.headers;
  const socket = new WebSocket(test.url.replace("http", "ws") + probe.path, { headers });
  const heard: Heard = { probe, status: 0, text: "", ended: false, close: () => socket.terminate() };
  socket.on("open", () => {
    heard.status = 101;
  });
  socket.on("upgrade", (response) => {
    heard.text += JSON.stringify(response.headers);
  });
  socket.on("message", (data) => {
    heard.text += String(data);
  });
  socket.on("unexpected-response", (_request, response) => {
    heard.status = response.statusCode ?? 0;
    heard.text = JSON.stringify(response.headers);
    response.on("data", (chunk) => {
      heard.text += String(chunk);
    });
    response.on("end", () => {
      heard.ended = true;
      response.socket.destroy();
    });
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    heard.ended = true;
  });
  return heard;
}

async function ticketFor(bearer: string): Promise<string> {
  const response = await fetch(`${test.url}/stream/tickets`, {
    method: "POST",
    headers: { authorization: `Bearer ${bearer}` },
  });
  return ((await response.json()) as { ticket: string }).ticket;
}

/** Queries by which acme's reader asks for what is another's. */
function queries(): string[] {
  const name = (company: string) => `companyId=${encodeURIComponent(company)}`;
  return [
    ...["", ...OTHERS.map(name)],
    ...["companyId=GLOBEX", "companyId=glob%65x", "companyId=%67%6C%6F%62%65%78", "companyId=glob%2565x"],
    ...["companyId=globex%00", "companyId=%00globex", "companyId=globex%20", "companyId=+globex"],
    ...[
      "companyId=globex%0d%0a",
      "companyId=globex%ff",
      "companyId=%EF%BB%BFglobex",
      "companyId=globex%E2%80%8B",
    ],
    ...["companyId=acme&companyId=globex", "companyId=globex&companyId=acme", "companyId=acme,globex"],
    ...["companyId=acme%26companyId%3Dglobex", "companyId=acme;companyId=globex", "companyId[]=globex"],
    ...[
      "companyid=globex",
      "CompanyId=globex",
      "company=globex",
      "company%49d=globex",
      "companyId=acme&companyid=globex",
    ],
    ...[
      "companyId=*",
      "companyId=",
      "companyId=acme%231",
      "companyId=acme%2F..%2Fglobex",
      "companyId={globex}",
    ],
    ...[
      "companyId=%7Bacme%7D:events%20globex",
      "companyId=acme|globex",
      "companyId=[%22acme%22,%22globex%22]",
    ],
    ...["companyId=acme&scope=globex", "companyId=acme&types=audit.txn&companyid=globex", "types=audit.txn"],
    // Replays, by the cursors of other logs and of any.
    ...Object.values(cursors).flatMap((cursor) => [
      `companyId=acme&lastEventId=${cursor}`,
      `companyId=acme&after=${cursor}&limit=500`,
      `companyId=globex&lastEventId=${cursor}&after=${cursor}`,
    ]),
    ...["format=cloudevents", "overflow=drop-oldest", "limit=500"].map(
      (option) => `companyId=acme&lastEventId=0.0-0&${option}`,
    ),
    `companyId=acme&lastEventId=${cursors.globex}&lastEventId=${cursors.acme}`,
  ];
}

/** Headers beside acme's token, which say that somebody else is asking. */
function disguises(): Record<string, string>[] {
  return [
    ...["x-company-id", "company-id", "companyid", "x-tenant-id", "x-forwarded-user", "x-forwarded-host"].map(
      (name) => ({ [name]: "globex" }),
    ),
    // What a Worker asks its Durable Object in.
    { "millrace-asked": '{"kind":"open","wanted":{"kind":"updates","company":"globex","transport":"sse"}}' },
    ...[{ "x-original-url": "/stream/updates?companyId=globex" }, { "x-http-method-override": "POST" }],
    ...Object.values(cursors).map((cursor) => ({ "last-event-id": cursor })),
    // The token in the header counts, whatever the cookie says.
    { cookie: `millrace=${tokens.globex}` },
    { cookie: `__Host-millrace=${tokens.globex}; millrace=${tokens.globex}` },
  ];
}

/** Tokens that are none for globex, although they say its name somewhere. */
function forgeries(): Promise<string[]> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const [, globexClaims] = tokens.globex.split(".");
  const [acmeHead, , acmeSignature] = tokens.acme.split(".");
  return Promise.all([
    ...[
      { companyId: "GLOBEX" },
      { companyId: ["globex"] },
      { companies: "globex" },
      { companies: { 0: "globex" } },
      { companies: ["acme\u0000globex"] },
      { companies: ["globex*", "*"] },
      { companyid: "globex", company: "globex", tenant: "globex" },
      { companyId: "" },
      { companyId: "acme", companies: ["acme"], roles: ["OPS", "Ops", "ops ", "admin"], role: "ops" },
      { sub: "globex", roles: [] },
    ].map((claims) => token(claims)),
    token({ companyId: "globex" }, 1),
    `${part({ alg: "none" })}.${globexClaims}.`,
    `${acmeHead}.${globexClaims}.${acmeSignature}`,
  ]);
}

/** Every way to ask for the path with the query. */
function ways(path: string, query: string, headers: Record<string, string>, name: string): Probe[] {
  const { document } = ROUTES[path] ?? {};
  const url = `${path}?${query}${document === undefined ? "" : `&query=${encodeURIComponent(document)}`}`;
  const over = (way: string, more: Record<string, string>, rest: Partial<Probe> = {}): Probe => ({
    name: `${name}, ${way}`,
    path: url,
    headers: { ...headers, ...more },
    ...rest,
  });
  return path.startsWith("/ws/")
    ? [over("WebSocket", { upgrade: "websocket" }), over("GET", {})]
    : [over("EventSource", { accept: "text/event-stream" }), over("JSON", { accept: "application/json" })];
}

async function probesOf(path: string): Promise<Probe[]> {
  const bearer = (given: string) => ({ authorization: `Bearer ${given}` });
  const asAcme = bearer(tokens.acme);
  const probes = queries().flatMap((query) => ways(path, query, asAcme, query));
  for (const more of disguises()) {
    for (const query of ["companyId=globex", "companyId=acme&lastEventId=0.0-0", "companyId=acme"])
      probes.push(...ways(path, query, { ...asAcme, ...more }, `${JSON.stringify(more)} ${query}`));
  }
  for (const [index, forged] of (await forgeries()).entries()) {
    // Where the company may be left out, a token of `GLOBEX` is let in to that one.
    const none = ROUTES[path]?.document === undefined ? "" : "companyId=acme";
    for (const query of [none, "companyId=globex", "companyId=globex&lastEventId=0.0-0"])
      probes.push(...ways(path, query, bearer(forged), `forged token ${index}, ${query}`));
  }
  // Who sees the numbers of all companies, and the operator's services, sees the events of no other company.
  if (SHOWS_EVENTS.includes(path)) {
    const ops = await token({ sub: "o", companyId: "acme", roles: ["ops"] });
    const others = queries().filter((query) => !/_operations|_logs/.test(query));
    for (const query of others) probes.push(...ways(path, query, bearer(ops), `of role ops, ${query}`));
  }
  // Tickets and cookies of acme's, asked for globex; and what is no ticket.
  const cookie = `millrace=${tokens.acme}`;
  probes.push(
    ...ways(path, "companyId=globex", { cookie }, "acme's cookie"),
    ...ways(path, "companyId=globex", { cookie: `millrace=${tokens.acme}; millrace=x` }, "two cookies"),
    ...ways(path, "companyId=globex", {}, "nothing"),
    ...ways(path, `companyId=globex&ticket=${"A".repeat(48)}`, {}, "an invented ticket"),
    ...ways(path, `companyId=globex&ticket=${await ticketFor(tokens.acme)}`, {}, "acme's ticket"),
    ...ways(
      path,
      `companyId=globex&ticket=${await ticketFor(tokens.acme)}`,
      { cookie },
      "acme's ticket and cookie",
    ),
    ...ways(path, `companyId=acme&ticket=${await ticketFor(tokens.acme)}&ticket=x`, {}, "two tickets"),
  );
  // One that globex has used.
  const used = await ticketFor(tokens.globex);
  const redeemed = ask({ name: "", path: `/stream/updates?companyId=globex&ticket=${used}`, headers: {} });
  await waitFor("globex to be let in", () => redeemed.status === 200);
  redeemed.close();
  probes.push(...ways(path, `companyId=globex&ticket=${used}`, {}, "globex's used ticket"));
  probes.push(
    ...ways(path, `companyId=globex&ticket=${used}`, asAcme, "globex's used ticket and acme's token"),
  );
  // Other methods, with another company in the body.
  const body = '{"companyId":"globex","streaming":false,"subject":"g"}';
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
    probes.push({
      ...{ name: method, path: `${path}?companyId=globex`, method },
      headers: { ...asAcme, "content-type": "application/json" },
      ...(["POST", "PUT"].includes(method) ? { body } : {}),
    });
  }
  // The path in other spellings.
  const second = path.indexOf("/", 1) + 1 || 1;
  const spelt = [
    ...[`${path}/`, `/${path}`, `${path};companyId=globex`, `${path}%00`, `${path}%2f`, path.toUpperCase()],
    ...[
      `/.${path}`,
      `/x/..${path}`,
      path.replace(/\/(\w)/, (_, first: string) => `/%${first.charCodeAt(0).toString(16)}`),
    ],
    `${path.slice(0, second)}/${path.slice(second)}`,
  ];
  for (const spelling of spelt)
    probes.push(...ways(spelling, "companyId=globex", asAcme, "another spelling"));
  return probes;
}

/** What an answer shows that it must not; what the request itself said is no news. */
function leakIn({ probe, text }: Heard): string | undefined {
  if (text.includes(SECRET)) return SECRET;
  for (const company of OTHERS) {
    const epoch = cursors[company]!.split(".")[0]!;
    const asked = `${probe.path}${JSON.stringify(probe.headers)}${probe.body ?? ""}`;
    if (text.includes(epoch) && !asked.includes(epoch)) return `the log of ${company}`;
    // A company called as acme begins is in everything of acme's.
    if (!["acm", "acme."].includes(company) && text.includes(company) && !decodeAll(asked).includes(company))
      return `the name ${company}`;
  }
  return undefined;
}

function decodeAll(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const paths = () =>
  [...new Set(test.app.routes.map(({ path }) => path))].filter((path) => !path.includes("*"));

describe("cross-company probes", { timeout: 60_000 }, () => {
  it("there is one for every route of the app", () => {
    expect(paths().sort()).toEqual(Object.keys(ROUTES).sort());
  });

  it.for(Object.entries(ROUTES))(
    "%s shows acme nothing of another company, live or replayed",
    async ([route, { shows, own, id = "globex" }]) => {
      const path = route.replace(":id", id);
      const heard: Heard[] = [];
      const witnesses = ["globex", "acme"].map((company) =>
        ask({
          name: company,
          path: `/stream/updates?companyId=${company}`,
          headers: { authorization: `Bearer ${company === "acme" ? tokens.acme : tokens.globex}` },
        }),
      );
      try {
        for (const probe of await probesOf(path)) heard.push(ask(probe));
        const [control] = ways(
          path,
          shows ?? "",
          { authorization: `Bearer ${tokens.acme}` },
          "what acme may see",
        );
        const shown = ask(control!);
        heard.push(shown);
        await waitFor("every probe to be answered", () =>
          [...witnesses, ...heard].every(({ status, ended }) => status !== 0 || ended),
        );
        await append(...OTHERS);
        const live = `${OWN}-n${appended}`;
        await append("acme");
        await append(...OTHERS);
        await waitFor("both to hear of their own", () =>
          witnesses.every(({ text }, index) => text.includes([SECRET, OWN][index]!)),
        );
        // Who has been shown what was acme's alone has been shown what would have come before it.
        const due = own === OWN ? live : own;
        const open = heard.filter(({ ended, status }) => !ended && status < 300);
        const isDue = ({ text }: Heard) => due === undefined || text.includes(due);
        // Whoever is deaf is told of last: what was shown to it instead says more.
        await waitFor("the open ones to have heard", () => open.every(isDue)).catch(() => {});
        if (own !== undefined) await waitFor("acme's own", () => shown.text.includes(own));
        const leaks = heard.flatMap((one) => {
          const leak = leakIn(one);
          return leak === undefined ? [] : [`${one.probe.name}: ${one.status} shows ${leak}`];
        });
        expect(leaks).toEqual([]);
        expect(open.filter((one) => !isDue(one)).map(({ probe }) => probe.name)).toEqual([]);
        expect(
          heard.filter(({ status }) => status >= 500).map(({ probe, status }) => `${probe.name}: ${status}`),
        ).toEqual([]);
      } finally {
        for (const { close } of [...heard, ...witnesses]) close();
      }
    },
  );

  it("what acme asks for changes nothing of globex's: renewals, features, revocations", async () => {
    const soon = await token({ sub: "g", companyId: "globex" }, Math.floor(Date.now() / 1000) + 20);
    const stream = ask({
      ...{ name: "globex", path: "/stream/updates?companyId=globex" },
      headers: { authorization: `Bearer ${soon}` },
    });
    const connectionId = await waitFor(
      "globex to be asked",
      () => /"connectionId":"([^"]+)"/.exec(stream.text)?.[1],
    );
    const change = async (method: string, path: string, body: object, given: string) =>
      (
        await fetch(test.url + path, {
          method,
          headers: { authorization: `Bearer ${given}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        })
      ).status;
    const likeGlobex = await token({ sub: "g", companyId: "acme" });
    expect(await change("POST", "/stream/renew", { connectionId, companyId: "globex" }, tokens.acme)).toBe(
      403,
    );
    // Whether there is such a connection is not said, so these are taken; the connection is not renewed by them.
    expect(await change("POST", "/stream/renew", { connectionId }, tokens.acme)).toBe(202);
    expect(await change("POST", "/stream/renew", { connectionId }, likeGlobex)).toBe(202);
    expect(await change("POST", "/stream/renew", { connectionId: randomUUID() }, tokens.acme)).toBe(202);
    const features = "/admin/companies/globex/features";
    expect(await change("PUT", features, { streaming: false }, tokens.acme)).toBe(403);
    expect(await change("POST", "/admin/revocations", { companyId: "globex" }, tokens.acme)).toBe(403);
    expect(await change("POST", "/admin/revocations", { subject: "g" }, tokens.acme)).toBe(403);
    expect(await change("POST", "/stream/renew", { connectionId, companyId: "globex" }, tokens.globex)).toBe(
      202,
    );
    await waitFor("globex's own renewal", () => stream.text.includes("event: renewed"));
    expect(stream.text.match(/event: renewed/g)).toHaveLength(1);
    expect(stream.ended).toBe(false);
    stream.close();
    expect(await test.rules.read()).toEqual([]);
  });

  it("neither the log nor /metrics holds events, tokens or tickets", async () => {
    const metrics = await (await fetch(`${test.url}/metrics`)).text();
    const lines = JSON.stringify(test.logged());
    for (const text of [metrics, lines]) {
      for (const secret of [SECRET, OWN, ...Object.values(tokens), "ticket="])
        expect(text).not.toContain(secret);
    }
    expect(metrics).not.toMatch(/acme|globex/);
  });
});
