/** Tickets: how a browser, whose EventSource can set no header, gets in; and the cookie it comes back with. */
import { type Check, fail, MILLRACE, pass } from "../check.ts";
import type { Context } from "../context.ts";
import type { Answer } from "../http.ts";
import { show } from "../sse-parser.ts";
import { errorProblem } from "./status.ts";

const area = "tickets";
const source = "Millrace PROTOCOL, tickets";
const PATH = "/stream/tickets";

/** A new ticket; throws, in words for the report, at an answer that holds none. */
async function newTicket(context: Context): Promise<string> {
  const answer = await context.askRoute(PATH, { method: "POST" });
  const { ticket, expiresIn } = (answer.json ?? {}) as { ticket?: unknown; expiresIn?: unknown };
  if (answer.status !== 200 && answer.status !== 201)
    throw new Error(`POST ${PATH} was answered ${answer.status} ${show(answer.text)}, expected 200 or 201`);
  if (typeof ticket !== "string" || typeof expiresIn !== "number")
    throw new Error(`POST ${PATH} was answered ${show(answer.text)}, expected ticket and expiresIn`);
  if (!/no-store/.test(answer.headers["cache-control"] ?? ""))
    throw new Error(`POST ${PATH}: cache-control: ${answer.headers["cache-control"]}, expected no-store`);
  return ticket;
}

/** Without a token. */
const redeem = (context: Context, ticket: string, cookie?: string): Promise<Answer> =>
  context.askStream({ token: null, query: { ticket }, headers: cookie === undefined ? {} : { cookie } });

/** What is wrong with the cookie that a redeemed ticket leaves, undefined when nothing is. */
function cookieProblem(setCookie: string | undefined, isLoopback: boolean): string | undefined {
  if (setCookie === undefined) return "no cookie was set: the reconnect of a browser will not be let in";
  const attributes = setCookie.split(";").map((part) => part.trim().toLowerCase());
  const wanted = ["httponly", ...(isLoopback ? [] : ["secure"])];
  const missing = wanted.filter((name) => !attributes.includes(name));
  if (!attributes.some((name) => /^samesite=(strict|lax)$/.test(name))) missing.push("samesite");
  return missing.length > 0 ? `the cookie lacks ${missing.join(", ")}` : undefined;
}

const isLoopback = (url: string) => /^(localhost|127\..*|\[::1\])$/.test(new URL(url).hostname);

export const ticketChecks: readonly Check[] = [
  {
    id: "tickets.once",
    area,
    title:
      "A ticket opens a stream once, also when two requests race for it, and leaves a cookie no script reads",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const ticket = await newTicket(context);
      const answers = await Promise.all([redeem(context, ticket), redeem(context, ticket)]);
      const statuses = answers.map(({ status }) => status).sort();
      if (statuses.join() !== "200,401")
        return fail(
          `two requests with one ticket were answered ${statuses.join(" and ")}, expected 200 and 401`,
        );
      const won = answers.find(({ status }) => status === 200)!;
      const problem = cookieProblem(won.headers["set-cookie"], isLoopback(context.target.url));
      if (problem) return fail(problem);
      const again = await redeem(context, ticket);
      return again.status === 401
        ? pass("200 once, then 401")
        : fail(`the used ticket was answered ${again.status}, expected 401`);
    },
  },
  {
    id: "tickets.cookie",
    area,
    title:
      "The cookie lets a browser's own reconnect in, which repeats the used ticket, and nobody else's company",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const ticket = await newTicket(context);
      const first = await redeem(context, ticket);
      const cookie = (first.headers["set-cookie"] ?? "").split(";", 1)[0] ?? "";
      const again = await redeem(context, ticket, cookie);
      if (again.status !== 200)
        return fail(`the used ticket with its cookie was answered ${again.status}, expected 200`);
      const alone = await context.askStream({ token: null, headers: { cookie } });
      if (alone.status !== 200) return fail(`the cookie alone was answered ${alone.status}, expected 200`);
      const other = await context.askStream({
        token: null,
        company: context.target.otherCompany,
        headers: { cookie },
      });
      if (other.status !== 403)
        return fail(`another company with the cookie was answered ${other.status}, expected 403`);
      // What another site's page can make a browser send.
      const posted = await context.askRoute(PATH, { method: "POST", token: null, headers: { cookie } });
      return posted.status === 401
        ? pass("let in by the cookie, which changes nothing")
        : fail(`POST ${PATH} with the cookie alone was answered ${posted.status}, expected 401`);
    },
  },
  {
    id: "tickets.web-socket",
    area,
    title: "A ticket opens a WebSocket, once",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const ticket = await newTicket(context);
      const first = await context.askSocket({ token: null, query: { ticket } });
      if (first.status !== 101) return fail(`the ticket was answered ${first.status} ${show(first.text)}`);
      const again = await context.askSocket({ token: null, query: { ticket } });
      return again.status === 401
        ? pass("101, then 401")
        : fail(`the used ticket was answered ${again.status}, expected 401`);
    },
  },
  {
    id: "tickets.refused",
    area,
    title: "A ticket is given for a token alone; one that is none, or is for another company, opens nothing",
    source,
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const unasked = await context.askRoute(PATH, { method: "POST", token: null });
      const problem = errorProblem(unasked, 401);
      if (problem) return fail(`POST ${PATH} without a token: ${problem}`);
      for (const ticket of ["", "nonsense", "A".repeat(48), "A".repeat(4_000)]) {
        const { status } = await redeem(context, ticket);
        if (status !== 401) return fail(`the ticket ${show(ticket)} was answered ${status}, expected 401`);
      }
      const other = await context.askStream({
        ...{ token: null, company: context.target.otherCompany },
        query: { ticket: await newTicket(context) },
      });
      const leak = errorProblem(other, 403);
      return leak ? fail(`another company with the ticket: ${leak}`) : pass("401, 403");
    },
  },
];
