/** WebSockets that are refused: before the upgrade, by an HTTP status. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import type { OpenOptions } from "../context.ts";
import { errorProblem } from "./status.ts";

const area = "web-socket";
const source = "Millrace PROTOCOL, WebSocket";

export const webSocketRefusalChecks: readonly Check[] = [
  {
    id: "web-socket.refusals",
    area,
    title:
      "A WebSocket that cannot be is refused before the upgrade: 400, 405, 426, and 403 for a foreign page",
    source: "RFC 6455 4.2.2, 10.2 (origins); RFC 9110 15.5.22 (426)",
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const { companyParam, lastIdParam } = context.target;
      const cases: Readonly<Record<string, readonly [number, OpenOptions]>> = {
        "no company": [400, { query: { [companyParam]: undefined } }],
        "an impossible company": [400, { query: { [companyParam]: "a b" } }],
        "a malformed cursor": [400, { query: { [lastIdParam]: "nonsense" } }],
        "a malformed cursor in the header": [400, { lastEventId: "nonsense" }],
        "an impossible type": [400, { query: { types: "A" } }],
        "a page of another origin": [403, { headers: { origin: "https://conformance.invalid" } }],
      };
      for (const [name, [status, options]] of Object.entries(cases)) {
        const problem = errorProblem(await context.askSocket(options), status);
        if (problem) return fail(`${name}: ${problem}`);
      }
      const path = `/ws/updates?${companyParam}=${context.target.company}`;
      const plain = await context.askRoute(path);
      // Its header Upgrade is one of the connection: proxies and some runtimes keep it for themselves.
      if (plain.status !== 426) return fail(`an ordinary GET was answered ${plain.status}, expected 426`);
      const posted = await context.askRoute(path, { method: "POST" });
      return posted.status === 405
        ? pass(`${Object.keys(cases).length + 2} refusals`)
        : fail(`POST was answered ${posted.status}, expected 405`);
    },
  },
  {
    id: "web-socket.auth",
    area,
    title: "Without the token of the company there is no upgrade: 401, 403, and 400 for a JWT in the URL",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const { token, otherCompany } = context.target;
      const cases: readonly (readonly [string, number, OpenOptions])[] = [
        ["no token", 401, { token: null }],
        ["nonsense", 401, { token: "nonsense" }],
        ["another company", 403, { company: otherCompany }],
        ...(token?.split(".").length === 3
          ? [["a JWT in the URL", 400, { token: null, query: { token } }] as const]
          : []),
      ];
      for (const [name, status, options] of cases) {
        const problem = errorProblem(await context.askSocket(options), status);
        if (problem) return fail(`${name}: ${problem}`);
      }
      return pass(`${cases.length} refusals`);
    },
  },
  {
    id: "web-socket.disabled",
    area,
    title: "Where streaming is switched off a WebSocket is refused with 503 and Retry-After",
    source,
    levels: MILLRACE,
    needs: ["disabled"],
    async run(context) {
      const answer = await context.askSocket();
      return verdict(
        errorProblem(answer, 503) ??
          (/^\d+$/.test(answer.headers["retry-after"] ?? "") ? undefined : "no Retry-After"),
        `503, retry-after: ${answer.headers["retry-after"]}`,
      );
    },
  },
];
