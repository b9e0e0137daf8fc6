/** An operator for the checks of services: makes them say something, and watches them. */
import { type Check, fail, notRun, type Outcome } from "./check.ts";
import { type Context, newRunId } from "./context.ts";
import { parseJson } from "./http.ts";
import { type SseEvent, show } from "./sse-parser.ts";
import type { SseStream } from "./sse-reader.ts";

export const STATUS = "/api/services/status/stream";
export const LINES = "/api/services/logs/stream";
/** Whose the events are that services are known by. */
export const COMPANY = { status: "_operations", lines: "_logs" } as const;
/** Seconds. */
export const TOKEN_LIFE = 600;

type Facts = Readonly<Record<string, unknown>>;

interface Operator {
  open(path: string, lastEventId?: string): Promise<SseStream>;
  /** What the kit's service says of itself. */
  say(status: Facts): Promise<void>;
  /** Lines of these messages, of `service` unless it is another. */
  log(messages: readonly string[], level?: string, service?: string): Promise<void>;
  /** Resolves when the line is in the log, which a publisher need not wait for. @throws Error where it does not come. */
  logged(message: string): Promise<void>;
  /** Whose the lines are: a name nobody has. */
  readonly service: string;
  /** A number that the kit's service has not said yet, nor have the next ten been: what was said before is not this check's. */
  readonly fresh: number;
}

/** As who may see services; not run where nobody can be made that. */
export const asOperator =
  (run: (context: Context, operator: Operator) => Promise<Outcome>): Check["run"] =>
  async (context) => {
    const { target } = context;
    const service = `kit-${newRunId()}`;
    const tokenFor = async (company: string) =>
      (await target.mintToken?.(company, TOKEN_LIFE)) ?? target.token;
    for (const [path, company] of [
      [STATUS, COMPANY.status],
      [LINES, COMPANY.lines],
    ] as const) {
      const token = await tokenFor(company);
      const headers = { accept: "text/event-stream" };
      const { status } = await context.askRoute(path, { headers, ...(token === undefined ? {} : { token }) });
      if (status === 403) return notRun("needs tokens of the operator (--mint, or --token of the role ops)");
      if (status !== 200) return fail(`${path} was answered ${status}, expected 200`);
    }
    const publish = (company: string, type: string, datas: readonly Facts[]) =>
      context.publish(
        datas.map((data) => ({ type, data: JSON.stringify({ companyId: company, ...data }) })),
        company,
      );
    const open: Operator["open"] = async (path, lastEventId) => {
      const token = await tokenFor(path.startsWith(STATUS) ? COMPANY.status : COMPANY.lines);
      return context.openPath(path, {
        ...(token === undefined ? {} : { token }),
        ...(lastEventId === undefined ? {} : { lastEventId }),
      });
    };
    let hasSaid = false;
    const say: Operator["say"] = async (status) => {
      hasSaid = true;
      await publish(COMPANY.status, "service_status", [{ service: target.service, ...status }]);
    };
    const operator: Operator = {
      service,
      fresh: Math.floor(Math.random() * 1e12),
      open,
      say,
      async logged(message) {
        const stream = await open(`${LINES}?service=${service}`);
        const came = await stream.until(() => messagesOf(stream).includes(message), context.waitMs);
        stream.close();
        if (!came) throw new Error(`${show(message)} was not shown within ${context.waitMs} ms`);
      },
      log: (messages, level = "info", of = service) =>
        publish(
          COMPANY.lines,
          "log_line",
          messages.map((message) => ({ ts: new Date().toISOString(), level, service: of, message })),
        ),
    };
    try {
      return await run(context, operator);
    } finally {
      if (hasSaid) await say({ state: "stopped" }).catch(() => {});
    }
  };

export const dataOf = ({ data }: SseEvent) => (parseJson(data) ?? {}) as Facts;

/** What is said of the service, from the snapshot on. */
export function heard({ parsed }: SseStream, service: string): Facts[] {
  return parsed.events.flatMap((event) => {
    const data = dataOf(event);
    const named = event.type === "snapshot" ? (data.services as Facts[]) : [data];
    return named.filter(({ name }) => name === service);
  });
}

export const linesOf = ({ parsed }: SseStream) => parsed.events.filter(({ type }) => type === "log_line");
export const messagesOf = (stream: SseStream) =>
  linesOf(stream).map((event) => String(dataOf(event).message));
