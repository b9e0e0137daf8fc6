/** The operator's services: how they are, and what they log, live. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context } from "../context.ts";
import {
  asOperator,
  COMPANY,
  dataOf,
  heard,
  LINES,
  linesOf,
  messagesOf,
  STATUS,
  TOKEN_LIFE,
} from "../services-operator.ts";
import { show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";
import { errorProblem } from "./status.ts";

const area = "services";
const source = "Millrace PROTOCOL, services";
/** Lines a viewer is shown who names no cursor. */
const FIRST_LINES = 200;

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

/** Waits for the last one due, then for what should not come. */
async function linesProblem(context: Context, stream: SseStream, due: readonly string[]) {
  await stream.until(() => messagesOf(stream).includes(due.at(-1)!), context.waitMs);
  await context.settle();
  return compareOrder(due, messagesOf(stream), "line");
}

const needs = ["publish", "types"] as const;
const rule = { area, source, levels: MILLRACE, needs } as const;

export const servicesChecks: readonly Check[] = [
  {
    ...rule,
    id: "services.snapshot",
    title: "The status stream begins with a snapshot of the services as they are, also of one nobody watched",
    run: asOperator(async (context, { fresh, say, open }) => {
      await say({ state: "idle", queueSize: 3, interval: 60, processed: fresh });
      const stream = await open(STATUS);
      const known = () => heard(stream, context.target.service).find(({ processed }) => processed === fresh);
      await stream.until(() => known() !== undefined, context.waitMs);
      const [first] = stream.parsed.events;
      if (first?.type !== "snapshot") return fail(`the first event is ${first?.type}, expected snapshot`);
      const { services, timestamp } = dataOf(first);
      if (!Array.isArray(services) || Number.isNaN(Date.parse(String(timestamp))))
        return fail(`a snapshot of ${show(first.data)}, expected services and timestamp`);
      const { state, queueSize, interval, silent } = known() ?? {};
      return state === "idle" && queueSize === 3 && interval === 60 && silent === false
        ? pass(`${services.length} services`)
        : fail(
            `the service is ${JSON.stringify(heard(stream, context.target.service).at(-1))}, expected it idle with 3 waiting`,
          );
    }),
  },
  {
    ...rule,
    id: "services.change",
    title: "Each change of a service is told, to who watches already",
    run: asOperator(async (context, { fresh, say, open }) => {
      const stream = await open(STATUS);
      const isThere = () => stream.parsed.events.some(({ type }) => type === "snapshot");
      if (!(await stream.until(isThere, context.waitMs))) return fail("no snapshot came");
      for (const change of [1, 2, 3]) {
        const processed = fresh + change;
        await say({ state: "running", processed });
        const isTold = () =>
          heard(stream, context.target.service).some((told) => told.processed === processed);
        if (!(await stream.until(isTold, context.waitMs)))
          return fail(`change ${change} was not told within ${context.waitMs} ms`);
      }
      const types = stream.parsed.events.slice(1).map(({ type }) => type);
      const stray = types.find((type) => type !== "service_status");
      return verdict(
        stray && `an event of type ${show(stray)}, expected service_status`,
        "three changes, each told",
      );
    }),
  },
  {
    ...rule,
    id: "services.silent",
    title: "A service silent for three of its intervals is shown stopped, until it says something again",
    run: asOperator(async (context, { fresh, say, open }) => {
      await say({ state: "running", interval: 0.2, processed: fresh });
      const stream = await open(STATUS);
      const newest = () =>
        heard(stream, context.target.service).findLast(({ processed }) => processed === fresh);
      const isSilent = () => newest()?.state === "stopped" && newest()?.silent === true;
      if (!(await stream.until(isSilent, context.waitMs)))
        return fail(
          `after ${context.waitMs} ms it is ${JSON.stringify(newest())}, expected it stopped and silent`,
        );
      await say({ state: "running", interval: 60, processed: fresh });
      const isBack = () => newest()?.state === "running" && newest()?.silent === false;
      return (await stream.until(isBack, context.waitMs))
        ? pass("stopped, then running")
        : fail(`it said something and is ${JSON.stringify(newest())}, expected it running`);
    }),
  },
  {
    ...rule,
    id: "services.lines",
    title: `A viewer gets the newest ${FIRST_LINES} lines, then what comes, in order and each once`,
    run: asOperator(async (context, { service, log, logged, open }) => {
      await log(numbered(0, FIRST_LINES + 30));
      await logged(`line ${FIRST_LINES + 29}`);
      const stream = await open(`${LINES}?service=${service}`);
      const before = await linesProblem(context, stream, numbered(30, FIRST_LINES + 30));
      if (before) return fail(before);
      await log(numbered(FIRST_LINES + 30, FIRST_LINES + 40));
      const problem = await linesProblem(context, stream, numbered(30, FIRST_LINES + 40));
      if (problem) return fail(problem);
      const line = dataOf(linesOf(stream)[0]!);
      const missing = ["ts", "level", "service", "message"].find((name) => typeof line[name] !== "string");
      return verdict(missing && `a line without ${missing}`, `${FIRST_LINES} lines, then 10`);
    }),
  },
  {
    ...rule,
    id: "services.filter",
    title: "A viewer of a service and of a level gets its lines of that level and worse alone",
    run: asOperator(async (context, { service, log, logged, open }) => {
      const say = async (name: string) => {
        for (const level of ["debug", "info", "warn", "error"]) await log([`${name} ${level}`], level);
        await log([`${name} of another`], "error", `${service}-other`);
        await log([`${name} last`], "error");
      };
      await say("before");
      await logged("before last");
      const stream = await open(`${LINES}?service=${service}&level=warn`);
      const due = (name: string) => [`${name} warn`, `${name} error`, `${name} last`];
      const before = await linesProblem(context, stream, due("before"));
      if (before) return fail(`of what was there: ${before}`);
      await say("live");
      return verdict(
        await linesProblem(context, stream, [...due("before"), ...due("live")]),
        "3 of 6 lines, twice",
      );
    }),
  },
  {
    ...rule,
    id: "services.resume",
    title:
      "A viewer that comes back with a cursor gets what it missed and what comes, in order and each once",
    run: asOperator(async (context, { service, log, open }) => {
      await log(numbered(0, 20));
      const path = `${LINES}?service=${service}`;
      const stream = await open(path);
      const problem = await linesProblem(context, stream, numbered(0, 20));
      if (problem) return fail(problem);
      const cursor = linesOf(stream)[7]!.lastEventId;
      stream.close();
      let written = 20;
      const write = async () => {
        for (; written < 60; written += 4) await log(numbered(written, written + 4));
      };
      const writing = write();
      writing.catch(() => {});
      // The header wins over the query, which a browser repeats as it was.
      const byHeader = await open(`${path}&lastEventId=${linesOf(stream)[0]!.lastEventId}`, cursor);
      const byQuery = await open(`${path}&lastEventId=${cursor}`);
      await writing;
      for (const [name, back] of [
        ["header", byHeader],
        ["query", byQuery],
      ] as const) {
        const lost = await linesProblem(context, back, numbered(8, 60));
        if (lost) return fail(`by the ${name}: ${lost}`);
      }
      return pass("12 lines replayed, 40 that came meanwhile");
    }),
  },
  {
    ...rule,
    id: "services.refusals",
    title: "A bad service, level or cursor is refused with 400 and named",
    needs: ["stream"],
    run: asOperator(async (context) => {
      const bad = {
        service: ["a b", "", "x".repeat(65)],
        level: ["loud", "WARN", ""],
        lastEventId: ["nonsense"],
      };
      const token = (await context.target.mintToken?.(COMPANY.lines, TOKEN_LIFE)) ?? context.target.token;
      for (const [name, values] of Object.entries(bad)) {
        for (const value of values) {
          const path = `${LINES}?${new URLSearchParams({ [name]: value })}`;
          const answer = await context.askRoute(path, token === undefined ? {} : { token });
          const problem = errorProblem(answer, 400);
          if (problem) return fail(`${name}=${show(value)}: ${problem}`);
        }
      }
      return pass("400 for each");
    }),
  },
  {
    ...rule,
    id: "services.role",
    title: "Nobody without the role ops sees services or their lines",
    needs: ["stream", "mint"],
    async run(context) {
      const { company, mintToken } = context.target;
      const token = await mintToken!(company, TOKEN_LIFE);
      const headers = { accept: "text/event-stream" };
      for (const path of [STATUS, LINES]) {
        const refused = errorProblem(await context.askRoute(path, { token, headers }), 403);
        if (refused) return fail(`${path}, a token of a company: ${refused}`);
        const nobody = errorProblem(await context.askRoute(path, { token: null, headers }), 401);
        if (nobody) return fail(`${path}, no token: ${nobody}`);
      }
      return pass("403 and 401 on both");
    },
  },
  {
    ...rule,
    id: "services.disabled",
    title:
      "Where streaming is switched off a viewer is told to come back: 200, retry, one event that says so, a close",
    needs: ["disabled"],
    run: asOperator(async (context, { open }) => {
      for (const path of [STATUS, LINES]) {
        const stream = await open(path);
        if (!(await stream.until(() => stream.ended, context.waitMs)))
          return fail(`${path} was left open, expected a close`);
        const { blocks, events } = stream.parsed;
        const types = events.map(({ type }) => type).join(", ");
        if (types !== "disabled") return fail(`${path}: ${types || "nothing"}, expected one event disabled`);
        if (!blocks.some(({ fields }) => fields.some(([name]) => name === "retry")))
          return fail(`${path}: no retry field, expected one`);
      }
      return pass("told to come back, on both");
    }),
  },
];
