/** Status rules: what a browser may come back from is a 200, what it may not is a status. */
import { type Check, fail, MILLRACE, MUST, pass, verdict } from "../check.ts";
import type { Context, OpenOptions } from "../context.ts";
import { type Answer, isEventStream } from "../http.ts";
import { show } from "../sse-parser.ts";

const area = "status";

/** What is wrong with a JSON error answer, undefined when nothing is. */
export function errorProblem(answer: Answer, status: number): string | undefined {
  if (answer.status !== status) return `status ${answer.status}, expected ${status}`;
  if (!/^application\/json\b/i.test(answer.headers["content-type"] ?? "")) {
    return `content-type ${answer.headers["content-type"]}, expected application/json`;
  }
  const { error, message } = (answer.json ?? {}) as { error?: unknown; message?: unknown };
  return typeof error === "string" && typeof message === "string" && message !== ""
    ? undefined
    : `the body ${show(answer.text)}, expected JSON with error and message`;
}

/** Asks once a case and reports the first that is not refused with 400. */
async function expectBadRequest(context: Context, cases: Readonly<Record<string, OpenOptions>>) {
  const answers = await Promise.all(
    Object.entries(cases).map(async ([name, options]) => [name, await context.askStream(options)] as const),
  );
  for (const [name, answer] of answers) {
    const problem = errorProblem(answer, 400);
    if (problem) return fail(`${name}: ${problem}`);
  }
  return pass(`${answers.length} bad requests, each 400 with error and message`);
}

export const statusChecks: readonly Check[] = [
  {
    id: "status.bad-company",
    area,
    title: "A missing or impossible company is refused with 400",
    source: "Millrace PROTOCOL, streams (refusals); companyId is 1-64 of A-Z a-z 0-9 . _ -",
    levels: MILLRACE,
    needs: [],
    run(context) {
      const company = (value: string | undefined): OpenOptions => ({
        query: { [context.target.companyParam]: value },
      });
      return expectBadRequest(context, {
        "no company": company(undefined),
        "an empty company": company(""),
        "a space": company("a b"),
        "a slash": company("../acme"),
        "a brace": company("{acme}"),
        "a wildcard": company("*"),
        "a line break": company("acme\r\nx: y"),
        "65 characters": company("x".repeat(65)),
        "a letter beyond ASCII": company("acmé"),
      });
    },
  },
  {
    id: "status.bad-cursor",
    area,
    title: "A malformed cursor is refused with 400, in the header and in the query",
    source: "Millrace PROTOCOL, streams (refusals)",
    levels: MILLRACE,
    needs: [],
    run(context) {
      const query = (value: string): OpenOptions => ({ query: { [context.target.lastIdParam]: value } });
      return expectBadRequest(context, {
        "header, no cursor in form": { lastEventId: "nonsense" },
        "header, a slash": { lastEventId: "a/b.1-1" },
        "header, too long": { lastEventId: `${"a".repeat(80)}.1-1` },
        "header, not a number": { lastEventId: "abc.1-x" },
        "query, no cursor in form": query("nonsense"),
        "query, a line break": query("abc.1-1\r\ndata: evil"),
        "query, a negative number": query("abc.-1-1"),
      });
    },
  },
  {
    id: "status.bad-type",
    area,
    title: "An impossible type in the filter is refused with 400",
    source: "Millrace PROTOCOL, streams (refusals); type is 1-64 of a-z 0-9 . _ -",
    levels: MILLRACE,
    needs: [],
    run(context) {
      const types = (value: string): OpenOptions => ({ query: { types: value } });
      return expectBadRequest(context, {
        "a capital": types("Metric"),
        "a space": types("a b"),
        "a line break": types("a\ndata: evil"),
        "one good, one bad": types("metric_updated,a/b"),
        "65 characters": types("x".repeat(65)),
      });
    },
  },
  {
    id: "status.any-accept",
    area,
    title: "curl and other clients that accept anything get the stream",
    source: "RFC 9110 12.5.1 (Accept)",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      const answer = await context.askStream({ headers: { accept: "*/*" } });
      return verdict(
        answer.status === 200 && isEventStream(answer)
          ? undefined
          : `Accept: */* was answered ${answer.status} ${answer.headers["content-type"]}, expected the stream`,
        "Accept: */* gets the stream",
      );
    },
  },
  {
    id: "status.methods",
    area,
    title: "Other methods than GET do not open a stream",
    source: "RFC 9110 15.5.6 (405), 9.3",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      for (const method of ["POST", "PUT", "DELETE"]) {
        const answer = await context.askStream({ method });
        if (answer.status === 200 && isEventStream(answer))
          return fail(`${method} was answered with the stream, expected 405 or 404`);
        if (answer.status === 405 && answer.headers.allow === undefined)
          return fail(`${method} was answered 405 without Allow`);
        if (![404, 405, 501].includes(answer.status) && context.learned.profile === "millrace")
          return fail(`${method} was answered ${answer.status}, expected 405 or 404`);
      }
      return pass("POST, PUT, DELETE refused");
    },
  },
  {
    id: "status.head",
    area,
    title: "HEAD ends: it holds no stream open",
    source: "RFC 9110 9.3.2 (HEAD has no content)",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      const answer = await context.askStream({ method: "HEAD" });
      if (!answer.ended) return fail(`HEAD was answered ${answer.status} and not ended`);
      const wanted = [404, 405];
      return context.learned.profile === "millrace" && !wanted.includes(answer.status)
        ? fail(`HEAD was answered ${answer.status}, expected 405 or 404`)
        : pass(`HEAD was answered ${answer.status} and ended`);
    },
  },
];
