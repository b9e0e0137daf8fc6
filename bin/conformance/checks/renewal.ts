/** The end of a token: asked about in time, put off by a fresh one, and kept to. */
import { randomUUID } from "node:crypto";
import { type Check, fail, MILLRACE, pass } from "../check.ts";
import type { Context } from "../context.ts";
import { parseJson } from "../http.ts";
import { type SseEvent, show } from "../sse-parser.ts";
import type { Stream } from "../stream.ts";
import { errorProblem } from "./status.ts";

const area = "renewal";
const source = "Millrace PROTOCOL, who may read what (a stream ends with its token)";
const PATH = "/stream/renew";
/** Seconds a stream may outlive its token: the tolerance for clocks, and a look every second. */
const TOLERANCE_SECONDS = 8;
/** Of a token that is to end: time enough to open something with it. */
const LIFE_SECONDS = 4;

interface Notice {
  readonly connectionId: string;
  readonly expiresAt: string;
}

/** The next notice of the name; a word of what is wrong when there is none in form. */
async function notice(
  context: Context,
  stream: Stream,
  name: string,
): Promise<{ readonly said: Notice; readonly event: SseEvent } | string> {
  const find = () => stream.parsed.events.find(({ type }) => type === name);
  await stream.until(() => find() !== undefined, context.waitMs);
  const event = find();
  if (event === undefined) return `no ${name} event came within ${context.waitMs} ms`;
  const said = (parseJson(event.data) ?? {}) as Partial<Notice>;
  return typeof said.connectionId === "string" && !Number.isNaN(Date.parse(said.expiresAt ?? ""))
    ? { said: said as Notice, event }
    : `${name} says ${show(event.data)}, expected connectionId and expiresAt`;
}

/** Asks for a fresh token's worth of time; undefined when that is granted, else what was answered. */
async function renew(context: Context, connectionId: string, token: string): Promise<string | undefined> {
  const answer = await context.askRoute(PATH, {
    method: "POST",
    token,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ connectionId, companyId: context.target.company }),
  });
  return answer.status === 202 || answer.status === 200
    ? undefined
    : `POST ${PATH} was answered ${answer.status} ${show(answer.text)}, expected 202`;
}

export const renewalChecks: readonly Check[] = [
  {
    id: "renewal.renewed",
    area,
    title: "A client whose token is about to end is asked for a fresh one, and with it stays connected",
    source,
    levels: MILLRACE,
    needs: ["stream", "mint"],
    async run(context) {
      const { company, mintToken } = context.target;
      for (const transport of ["open", "openSocket"] as const) {
        const stream: Stream = await context[transport]({ token: await mintToken!(company, 20) });
        const asked = await notice(context, stream, "reauthenticate");
        if (typeof asked === "string") return fail(asked);
        const { connectionId, expiresAt } = asked.said;
        const problem = await renew(context, connectionId, await mintToken!(company, 600));
        if (problem) return fail(problem);
        const renewed = await notice(context, stream, "renewed");
        if (typeof renewed === "string") return fail(renewed);
        if (renewed.said.connectionId !== connectionId || renewed.said.expiresAt <= expiresAt)
          return fail(`renewed says ${renewed.event.data}, expected a later end than ${expiresAt}`);
        if (stream.ended) return fail("the stream was closed at the renewal");
      }
      return pass("reauthenticate, then renewed, on the stream and over WebSocket");
    },
  },
  {
    id: "renewal.expired",
    area,
    title:
      "A stream that is not renewed ends with its token, over WebSocket with the close code that says so",
    source,
    levels: MILLRACE,
    needs: ["stream", "mint"],
    stage: "background",
    async run(context) {
      const { company, mintToken } = context.target;
      const token = await mintToken!(company, LIFE_SECONDS);
      const stream = await context.open({ token });
      const socket = await context.openSocket({ token });
      const endMs = performance.now() + (LIFE_SECONDS + TOLERANCE_SECONDS) * 1_000;
      for (const open of [stream, socket]) await open.until(() => open.ended, endMs - performance.now());
      if (!stream.ended || !socket.ended)
        return fail(`still open ${TOLERANCE_SECONDS} s after the token's end`);
      if (socket.closeCode !== 4401) return fail(`close code ${socket.closeCode}, expected 4401`);
      const again = await context.askStream({ token });
      return again.status === 401
        ? pass("closed, 4401; the same token then is 401")
        : fail(`the token that has ended was answered ${again.status}, expected 401`);
    },
  },
  {
    id: "renewal.refused",
    area,
    title: "A renewal needs a token in the header, and names a connection",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const body = JSON.stringify({ connectionId: randomUUID(), companyId: context.target.company });
      const headers = { "content-type": "application/json" };
      const cases = [
        ["no token", 401, { token: null, body }],
        ["no body", 400, { body: "" }],
        ["no JSON", 400, { body: "{" }],
        ["no connection", 400, { body: "{}" }],
        ["no id of a connection", 400, { body: '{"connectionId":7}' }],
      ] as const;
      for (const [name, status, options] of cases) {
        const problem = errorProblem(
          await context.askRoute(PATH, { method: "POST", headers, ...options }),
          status,
        );
        if (problem) return fail(`${name}: ${problem}`);
      }
      return pass(`${cases.length} refusals`);
    },
  },
];
