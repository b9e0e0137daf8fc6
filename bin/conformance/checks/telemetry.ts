/** The metrics API: GPUs and their readings as numbered pages. What it is to show must be there already: it is read-only. */
import { type Check, fail, MILLRACE, notRun, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import { show } from "../sse-parser.ts";
import {
  ask,
  GPUS,
  type Item,
  keyOf,
  keys,
  MOST,
  type Page,
  pageOf,
  telemetryOf,
  timeOf,
  withReadings,
} from "../telemetry-pages.ts";
import { errorProblem } from "./status.ts";

const area = "telemetry";
const source = "Millrace PROTOCOL, metrics API";

const GPU_MEMBERS = ["companyId", "uuid", "gpu_id", "device", "modelName", "Hostname"] as const;
const GPU_TIMES = ["firstSeen", "lastSeen"] as const;
const READING_MEMBERS = [
  ...[...GPU_MEMBERS, "metric_name", "container", "pod", "namespace", "labels_raw"],
] as const;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** By time, then by metric name. */
function orderProblem(items: readonly Item[]): string | undefined {
  const at = items.findIndex((item, index) => {
    const before = items[index - 1];
    if (before === undefined || timeOf(before) < timeOf(item)) return false;
    return timeOf(before) > timeOf(item) || String(before.metric_name) >= String(item.metric_name);
  });
  return at < 0 ? undefined : `${keyOf(items[at]!)} came behind ${keyOf(items[at - 1]!)}`;
}

function memberProblem(items: readonly Item[], texts: readonly string[], times: readonly string[]) {
  for (const item of items) {
    const missing = texts.find((name) => typeof item[name] !== "string");
    if (missing !== undefined) return `an item without ${missing}: ${show(JSON.stringify(item))}`;
    const bad = times.find((name) => !TIME.test(String(item[name])));
    if (bad !== undefined) return `${bad} of ${show(String(item[bad]))}, expected RFC 3339 in UTC`;
  }
  return undefined;
}

/** Bad values of the parameters of both routes. */
const BAD: readonly (readonly [name: string, value: string])[] = [
  ...["0", "-1", "1001", "1.5", "ten", ""].map((value) => ["limit", value] as const),
  ...["0", "-1", "1.5", "two", "99999999999999999999"].map((value) => ["page", value] as const),
  ...["up", "ASC", "asc,desc", ""].map((value) => ["sort", value] as const),
  ...["start_time", "end_time"].flatMap((name) =>
    ["yesterday", "2026-01-31", "2026-02-30T12:00:00Z", "1769860800", ""].map(
      (value) => [name, value] as const,
    ),
  ),
  ...["a b", "x".repeat(65)].map((value) => ["companyId", value] as const),
];

export const telemetryChecks: readonly Check[] = [
  {
    id: "telemetry.shape",
    area,
    title: "GPUs and readings come with all of their members, each list in its order, both ways",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    run: withReadings(async (context, { gpus, path, readings, until }) => {
      const { company: companyId } = context.target;
      const problem =
        memberProblem(gpus, GPU_MEMBERS, GPU_TIMES) ??
        memberProblem(readings, READING_MEMBERS, ["timestamp"]);
      if (problem) return fail(problem);
      const stray = readings.find(({ value }) => !["number", "string"].includes(typeof value));
      if (stray) return fail(`a value of ${show(JSON.stringify(stray.value))}, expected a number or text`);
      const uuids = gpus.map(({ uuid }) => String(uuid));
      const wrong = compareOrder([...uuids].sort(), uuids, "GPU") ?? orderProblem(readings);
      if (wrong) return fail(wrong);
      const back = await pageOf(context, path, { companyId, limit: 10, end_time: until, sort: "desc" });
      const down = await pageOf(context, GPUS, { companyId, limit: MOST, sort: "desc" });
      const downwards = down.items.map(({ uuid }) => String(uuid));
      return verdict(
        compareOrder(keys(readings).slice(-10).reverse(), keys(back.items), "reading") ??
          compareOrder([...downwards].sort().reverse(), downwards, "GPU"),
        `${gpus.length} GPUs, ${readings.length} readings`,
      );
    }),
  },
  {
    id: "telemetry.pages",
    area,
    title: "Pages neither overlap nor leave anything out, and say the same total on each",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    run: withReadings(async (context, { path, readings, until }) => {
      const { company: companyId } = context.target;
      const due = readings.slice(0, 60);
      const range = { companyId, end_time: until };
      const limit = Math.min(7, due.length - 1);
      const got: Item[] = [];
      const totals = new Set<number>();
      for (let page = 1; got.length < due.length; page++) {
        const answer = await pageOf(context, path, { ...range, limit, page });
        if (answer.page !== page || answer.limit !== limit)
          return fail(`page ${answer.page} of ${answer.limit}, expected page ${page} of ${limit}`);
        totals.add(answer.total);
        got.push(...answer.items);
        if (answer.items.length < limit) break;
      }
      const problem = compareOrder(keys(due), keys(got.slice(0, due.length)), "reading");
      if (problem) return fail(problem);
      if (totals.size > 1) return fail(`totals of ${[...totals].join(", ")}, expected one`);
      const [total = 0] = totals;
      if (total < due.length) return fail(`a total of ${total}, expected at least ${due.length}`);
      const beyond = await pageOf(context, path, { ...range, limit, page: Math.ceil(total / limit) + 1 });
      return beyond.items.length === 0 && beyond.total === total
        ? pass(`${due.length} readings in pages of ${limit}, of ${total}`)
        : fail(
            `behind the last page: ${beyond.items.length} items of ${beyond.total}, expected 0 of ${total}`,
          );
    }),
  },
  {
    id: "telemetry.filters",
    area,
    title: "Times, both included, and a metric choose exactly the readings they name",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    run: withReadings(async (context, { path, readings: items }) => {
      const { company: companyId } = context.target;
      const first = items[Math.floor(items.length / 4)]!;
      const [from, until] = [timeOf(first), timeOf(items.at(-1 - Math.floor(items.length / 4))!)];
      const metric = String(first.metric_name);
      const range = {
        companyId,
        start_time: new Date(from).toISOString(),
        end_time: new Date(until).toISOString(),
      };
      const inRange = items.filter((item) => timeOf(item) >= from && timeOf(item) <= until);
      const cases = [
        [range, inRange],
        [{ ...range, metric }, inRange.filter(({ metric_name }) => metric_name === metric)],
        [{ ...range, metric: "CONFORMANCE_NOTHING" }, []],
      ] as const;
      for (const [query, due] of cases) {
        const page = await pageOf(context, path, { ...query, limit: MOST });
        const problem =
          compareOrder(keys(due), keys(page.items), "reading") ??
          (page.total === due.length ? undefined : `a total of ${page.total}, expected ${due.length}`);
        if (problem) return fail(`${new URLSearchParams(query)}: ${problem}`);
      }
      return pass(`${inRange.length} of ${items.length} readings by time, fewer by metric`);
    }),
  },
  {
    id: "telemetry.bad-parameters",
    area,
    title: "Every bad parameter is refused with 400 and named",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const paths = [GPUS, telemetryOf("GPU-conformance")];
      const cases = [...BAD, ["limit", "1&limit=2"] as const];
      for (const path of paths) {
        const metric = path === GPUS ? [] : [["metric", ""] as const, ["metric", "x".repeat(129)] as const];
        for (const [name, value] of [...cases, ...metric]) {
          const text = value.includes("&") ? value : encodeURIComponent(value);
          const answer = await context.askRoute(`${path}?${name}=${text}`);
          const problem = errorProblem(answer, 400);
          if (problem) return fail(`${path}?${name}=${show(value)}: ${problem}`);
          const { message } = answer.json as { message: string };
          if (!message.includes(name))
            return fail(`${name}=${show(value)}: ${show(message)} does not name it`);
        }
        const times = { start_time: "2026-01-31T13:00:00Z", end_time: "2026-01-31T12:00:00Z" };
        const problem = errorProblem(await ask(context, path, times), 400);
        if (problem) return fail(`${path}, a start_time after end_time: ${problem}`);
      }
      return pass(`${cases.length} bad parameters of both routes`);
    },
  },
  {
    id: "telemetry.unknown",
    area,
    title: "A GPU that nobody has is 404",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const answer = await ask(context, telemetryOf("GPU-conformance-nobody-has"));
      if (answer.status === 503) return notRun("it answered 503: this server has no telemetry store");
      return verdict(errorProblem(answer, 404), "404 with error and message");
    },
  },
  {
    id: "telemetry.tenant",
    area,
    title: "A token shows the GPUs of its company, and nobody else's",
    source,
    levels: MILLRACE,
    needs: ["stream", "auth"],
    run: withReadings(async (context, { path }) => {
      const { company, otherCompany, otherToken, token } = context.target;
      const all = await pageOf(context, GPUS, { limit: MOST });
      const leak = all.items.find(({ companyId }) => companyId !== company);
      if (leak) return fail(`a GPU of ${show(String(leak.companyId))} is shown`);
      const other = errorProblem(await ask(context, GPUS, { companyId: otherCompany }), 403);
      if (other) return fail(`another company: ${other}`);
      const [head, body] = token!.split(".");
      const forged = await ask(context, GPUS, {}, `${head}.${body}.${"A".repeat(43)}`);
      const problem = errorProblem(forged, 401);
      if (problem) return fail(`a forged token: ${problem}`);
      if (otherToken === undefined) return pass("own GPUs only");
      const theirs = await ask(context, path, {}, otherToken);
      return verdict(errorProblem(theirs, 404), "own GPUs only, 403 and 404 for others");
    }),
  },
  {
    id: "telemetry.auth-token",
    area,
    title: "AUTH_TOKEN opens the metrics API, and nothing else does that is not a good JWT",
    source,
    levels: MILLRACE,
    needs: ["stream", "auth"],
    async run(context) {
      const { metricsToken, company } = context.target;
      if (metricsToken === undefined) return notRun("needs AUTH_TOKEN of the server (--metrics-token)");
      const strangers = { "no token": null, "another token": `${metricsToken}x` };
      for (const [name, token] of Object.entries(strangers)) {
        const problem = errorProblem(await ask(context, GPUS, {}, token), 401);
        if (problem) return fail(`${name}: ${problem}`);
      }
      const inUrl = await ask(context, GPUS, { token: metricsToken }, null);
      if (inUrl.status === 200) return fail("the token was taken from the URL, expected it refused");
      const answer = await ask(context, GPUS, {}, metricsToken);
      if (answer.status === 503) return pass("let in; the store is away");
      const { items = [] } = (answer.json ?? {}) as Partial<Page>;
      if (answer.status !== 200) return fail(`AUTH_TOKEN was answered ${answer.status}, expected 200`);
      const foreign = items.filter(({ companyId }) => companyId !== company).length;
      return pass(`401 without, 200 with it: ${items.length} GPUs, ${foreign} of other companies`);
    },
  },
];
