/** The routes beside the stream: stats, health, liveness, metrics; and what they say once clients are gone. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Check, fail, MILLRACE, notRun, pass, verdict } from "../check.ts";
import type { Context } from "../context.ts";
import { show } from "../sse-parser.ts";
import type { Stream } from "../stream.ts";

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

/** Asks until the answer satisfies, for at most `timeoutMs`; returns the last answer. */
async function poll<T>(probe: () => Promise<T>, good: (value: T) => boolean, timeoutMs: number): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (good(value) || performance.now() > endMs) return value;
    await sleep(50);
  }
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
