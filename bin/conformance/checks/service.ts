/** The routes beside the stream: stats, health, liveness, metrics; and what they say once clients are gone. */
import { type Check, fail, MILLRACE, notRun, pass, verdict } from "../check.ts";
import type { Context } from "../context.ts";
import { poll } from "../poll.ts";
import { show } from "../sse-parser.ts";
import type { Stream } from "../stream.ts";
import { errorProblem } from "./status.ts";

const source = "Millrace PROTOCOL, streams (stats and health)";
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
const isTime = (value: unknown): boolean => typeof value === "string" && !Number.isNaN(Date.parse(value));
const isCounts = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isCount);

interface Stats {
  connections?: { totalConnections?: unknown; activeCompanies?: unknown; connectionsByCompany?: unknown };
  replayCache?: { companies?: unknown; totalEvents?: unknown; eventsByCompany?: unknown };
  timestamp?: unknown;
}
interface Health {
  status?: unknown;
  streaming?: { enabled?: unknown; activeConnections?: unknown; activeCompanies?: unknown };
  timestamp?: unknown;
}

interface Glance {
  sources?: unknown;
  log?: { store?: unknown; companies?: unknown; events?: unknown; rate?: unknown; up?: unknown };
  connections?: { total?: unknown; activeCompanies?: unknown; instances?: unknown };
  timestamp?: unknown;
}

const isRate = (value: unknown) => typeof value === "number" && value >= 0;

function isSource(value: unknown): boolean {
  const { instance, name, kind, state, lag, lastEventAt, ...rest } = (value ?? {}) as Record<string, unknown>;
  return (
    [instance, name, kind].every((text) => typeof text === "string" && text !== "") &&
    ["starting", "up", "down", "stopped", "lost"].includes(String(state)) &&
    (lag === null || isCount(lag)) &&
    (lastEventAt === null || isTime(lastEventAt)) &&
    [rest.appended, rest.redelivered, rest.deadLetters].every(isCount) &&
    isRate(rest.rate) &&
    isTime(rest.reportedAt)
  );
}

/** What is wrong with a health answer, undefined when nothing is: how a Millrace server is recognised. */
export function healthProblem(json: unknown): string | undefined {
  const { status, streaming, timestamp } = (json ?? {}) as Health;
  if (!["ok", "degraded", "disabled"].includes(String(status)))
    return `status ${show(String(status))}, expected ok, degraded or disabled`;
  if (typeof streaming?.enabled !== "boolean") return "streaming.enabled is no boolean";
  if (!isCount(streaming.activeConnections) || !isCount(streaming.activeCompanies))
    return "streaming.activeConnections and activeCompanies are no counts";
  return isTime(timestamp) ? undefined : "timestamp is no time";
}

/** Open streams of the company and in all, or why they cannot be told. */
async function connections(context: Context): Promise<{ company: number; total: number } | string> {
  const answer = await context.askRoute("/stream/stats");
  if (answer.status === 401 || answer.status === 403) return "the token may not see stats";
  const { connections: open } = (answer.json ?? {}) as Stats;
  const byCompany = (open?.connectionsByCompany ?? {}) as Record<string, unknown>;
  return { company: Number(byCompany[context.target.company] ?? 0), total: Number(open?.totalConnections) };
}

export const serviceChecks: readonly Check[] = [
  {
    id: "health.shape",
    area: "health",
    title: "/stream/health says whether streaming works",
    source,
    levels: MILLRACE,
    needs: [],
    async run(context) {
      const answer = await context.askRoute("/stream/health", { token: null });
      if (answer.status !== 200 && answer.status !== 503)
        return fail(`status ${answer.status}, expected 200 or 503`);
      return verdict(healthProblem(answer.json), show(answer.text));
    },
  },
  {
    id: "health.probes",
    area: "health",
    title: "/healthz and /ready answer 200 while the server serves",
    source: "Millrace PROTOCOL, other routes",
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      for (const path of ["/healthz", "/ready"]) {
        const { status } = await context.askRoute(path, { token: null });
        if (status !== 200) return fail(`${path} answered ${status}, expected 200`);
      }
      return pass("both 200");
    },
  },
  {
    id: "health.metrics",
    area: "health",
    title: "/metrics is Prometheus text",
    source: "Prometheus, exposition formats",
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const { status, headers, text } = await context.askRoute("/metrics");
      if (status === 401 || status === 403) return notRun("the token may not see metrics");
      if (status !== 200 || !/^text\/plain\b/.test(headers["content-type"] ?? ""))
        return fail(`status ${status}, ${headers["content-type"]}, expected 200 and text/plain`);
      const bad = text
        .split("\n")
        .find((line) => line !== "" && !/^(#|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? \S+)/.test(line));
      return verdict(bad && `the line ${show(bad)} is no sample`, `${text.split("\n").length} lines`);
    },
  },
  {
    id: "stats.shape",
    area: "stats",
    title: "/stream/stats counts connections and kept events by company",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const answer = await context.askRoute("/stream/stats");
      if (answer.status === 401 || answer.status === 403) return notRun("the token may not see stats");
      if (answer.status !== 200) return fail(`status ${answer.status}, expected 200`);
      const { connections: open, replayCache: kept, timestamp } = (answer.json ?? {}) as Stats;
      const good =
        isCount(open?.totalConnections) &&
        isCount(open?.activeCompanies) &&
        isCounts(open?.connectionsByCompany) &&
        isCount(kept?.companies) &&
        isCount(kept?.totalEvents) &&
        isCounts(kept?.eventsByCompany) &&
        isTime(timestamp);
      return good
        ? pass(show(answer.text))
        : fail(`the body ${answer.text.slice(0, 300)} lacks a member or has another shape`);
    },
  },
  {
    id: "pipeline.shape",
    area: "pipeline",
    title: "/api/pipeline says how sources, log and connections are, to the role ops alone",
    source: "Millrace PROTOCOL, other routes",
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const { token } = context.target;
      const unseen = await context.askRoute("/api/pipeline", { token: null });
      // Where nobody is asked there is no token.
      const problem = token === undefined ? undefined : errorProblem(unseen, 401);
      if (problem) return fail(`without a token: ${problem}`);
      const refused = await context.askRoute("/api/pipeline");
      if (refused.status === 403)
        return verdict(errorProblem(refused, 403), "403 without the role ops, 401 without a token");
      await context.open();
      // Of another instance, and at most a second old.
      const answer = await poll(
        () => context.askRoute("/api/pipeline"),
        ({ json }) => Number((json as Glance | undefined)?.connections?.total) > 0,
        context.waitMs,
      );
      if (answer.status !== 200) return fail(`status ${answer.status}, expected 200`);
      const { sources, log, connections: open, timestamp } = (answer.json ?? {}) as Glance;
      const good =
        Array.isArray(sources) &&
        sources.every(isSource) &&
        ["redis", "embedded"].includes(String(log?.store)) &&
        [log?.companies, log?.events, open?.activeCompanies, open?.instances].every(isCount) &&
        [log?.rate].every(isRate) &&
        log?.up === true &&
        isCount(open?.total) &&
        open.total > 0 &&
        isTime(timestamp);
      return good
        ? pass(show(answer.text))
        : fail(`the body ${answer.text.slice(0, 300)} lacks a member or has another shape, or no connection`);
    },
  },
  {
    id: "cleanup.gone",
    area: "cleanup",
    title:
      "Clients that vanish are forgotten: 20 connections closed or cut, 5 of them WebSockets, leave the count where it was",
    source: "Millrace PROTOCOL, streams (stats)",
    levels: MILLRACE,
    needs: ["stream"],
    stage: "alone",
    async run(context) {
      // The streams of the check before may be on their way out.
      const before = await poll(
        () => connections(context),
        (now) => typeof now === "string" || now.company === 0,
        1_500,
      );
      if (typeof before === "string") return notRun(before);
      const streams = await Promise.all<Stream>(
        Array.from({ length: 20 }, (_, index) => (index % 4 === 3 ? context.openSocket() : context.open())),
      );
      const wanted = before.company + streams.length;
      const open = await poll(
        () => connections(context),
        (now) => typeof now === "object" && now.company >= wanted,
        5_000,
      );
      if (typeof open === "string" || open.company < wanted)
        return fail(
          `stats say ${JSON.stringify(open)} with 20 more streams open, expected ${wanted} of the company`,
        );
      for (const [index, stream] of streams.entries())
        index % 2 === 0 || index % 8 === 3 ? stream.close() : stream.reset();
      // A runtime may notice at its next write that nobody is there any more (workerd does): at the heartbeat, if nothing else is said.
      const withinMs = context.target.heartbeatMs + 5_000;
      const after = await poll(
        () => connections(context),
        (now) => typeof now === "object" && now.company <= before.company,
        withinMs,
      );
      return typeof after === "object" && after.company <= before.company
        ? pass(`${open.company} open, ${after.company} once they were gone`)
        : fail(
            `stats say ${JSON.stringify(after)} ${withinMs} ms after 20 clients were gone, expected ${before.company} of the company`,
          );
    },
  },
];
