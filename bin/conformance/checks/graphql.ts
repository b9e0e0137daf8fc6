/** GraphQL over HTTP: tickets and chat, asked for and changed, of one company. What is followed: graphql-streams.ts. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import { newRunId } from "../context.ts";
import {
  ask,
  CHANGES,
  CLOSE,
  CREATE,
  itemsOf,
  MESSAGES,
  PAST,
  POST,
  pathOf,
  post,
  type Result,
  run,
  subscribe,
  TICKET,
  UPDATES,
  type Variables,
} from "../graphql-client.ts";
import type { Answer } from "../http.ts";
import { show } from "../sse-parser.ts";
import { errorProblem } from "./status.ts";

const area = "graphql";
const source = "Millrace PROTOCOL, GraphQL";
const OVER_HTTP = `${source}; GraphQL over HTTP`;
const rule = { area, source, levels: MILLRACE, needs: ["stream"] } as const;

/** Undefined: refused as a result without data, its errors in form, one of them with the code where it is named. */
function refusedProblem({ status, json, text }: Answer, code?: string): string | undefined {
  const { data, errors } = (json ?? {}) as Result;
  const hasData = data && Object.values(data).some((value) => value !== null);
  if (status >= 500 || hasData || !Array.isArray(errors) || errors.length === 0)
    return `${status} ${show(text)}, expected errors and no data`;
  const bad = errors.find(
    ({ message, extensions }) =>
      typeof message !== "string" || message === "" || typeof extensions?.code !== "string",
  );
  if (bad) return `${JSON.stringify(bad)}, expected message and extensions.code`;
  if (/\bat .*:\d+:\d+|node_modules/.test(text)) return `${show(text)}: it tells where in the code it was`;
  const codes = errors.map(({ extensions }) => extensions!.code);
  return code === undefined || codes.includes(code) ? undefined : `${codes.join(", ")}, expected ${code}`;
}

export const graphqlChecks: readonly Check[] = [
  {
    ...rule,
    id: "graphql.query",
    source: OVER_HTTP,
    title: "A query is answered by POST and by GET, in the media type that is accepted",
    async run(context) {
      const query = "{ __typename tickets(first: 1) { items { id } next } }";
      const data = await run(context, query);
      const tickets = data.tickets as Variables | null;
      if (String(data.__typename) !== "Query" || !Array.isArray(tickets?.items))
        return fail(`${JSON.stringify(data)}, expected __typename and a page of tickets`);
      const types = ["application/json", "application/graphql-response+json"];
      for (const accept of types) {
        const path = `${pathOf(context)}&${new URLSearchParams({ query: "{ __typename }" })}`;
        for (const answer of [
          await context.askRoute(path, { headers: { accept } }),
          await ask(context, "{ __typename }", {}, { headers: { accept } }),
        ]) {
          const type = answer.headers["content-type"]?.split(";")[0];
          if (answer.status !== 200 || type !== accept)
            return fail(`Accept: ${accept} was answered ${answer.status} ${type}, expected 200 and that`);
        }
      }
      const mutation = new URLSearchParams({
        query: 'mutation { createTicket(input: { subject: "s" }) { id } }',
      });
      const byGet = await context.askRoute(`${pathOf(context)}&${mutation}`);
      return verdict(
        byGet.status === 405 ? undefined : `a mutation by GET was answered ${byGet.status}, expected 405`,
        "both media types, by POST and GET",
      );
    },
  },
  {
    ...rule,
    id: "graphql.once",
    title: "A mutation asked again with its id is stored once, and says what was stored",
    async run(context) {
      const id = `kit-${newRunId()}`;
      const stream = await context.open();
      for (const subject of ["first", "second"]) {
        const { createTicket } = await run(context, CREATE, { id, subject });
        if (createTicket?.subject !== "first" || createTicket.id !== id)
          return fail(`createTicket answered ${JSON.stringify(createTicket)}, expected the first of that id`);
      }
      for (const text of ["one", "two"]) await run(context, POST, { ticketId: id, text, id: `${id}-m` });
      const { ticket } = await run(context, TICKET, { id });
      const problem = compareOrder(
        ["one"],
        ((ticket?.messages ?? []) as readonly Variables[]).map(({ text }) => String(text)),
        "message",
      );
      if (problem) return fail(problem);
      await run(context, POST, { ticketId: id, text: "the end" });
      const own = () => stream.parsed.events.filter(({ data }) => data.includes(id));
      const came = await stream.until(
        () => own().some(({ data }) => data.includes("the end")),
        context.waitMs,
      );
      if (!came) return fail("the messages did not come on the company's stream");
      return verdict(
        compareOrder(
          ["ticket.created", "ticket.message", "ticket.message"].map((type, index) => `${index} ${type}`),
          own().map(({ type }, index) => `${index} ${type}`),
        ),
        "asked twice, stored once",
      );
    },
  },
  {
    ...rule,
    id: "graphql.past",
    title: "What became of a ticket can be asked for: its messages back to the first, and who changed what",
    async run(context) {
      const id = `kit-${newRunId()}`;
      await run(context, CREATE, { id, subject: "past" });
      const sent = Array.from({ length: 5 }, (_, at) => `${id}-m${at}`);
      for (const message of sent) await run(context, POST, { ticketId: id, text: "-", id: message });
      const seen: string[] = [];
      for (let page = sent.slice(-1); page.length > 0 && seen.length <= sent.length; ) {
        const { ticket } = await run(context, PAST, { id, before: seen[0] });
        page = ((ticket?.messages ?? []) as readonly Variables[]).map((message) => String(message.id));
        seen.unshift(...page);
      }
      const problem = compareOrder(sent, seen, "message");
      if (problem) return fail(`in pages of two: ${problem}`);
      // The second time it is known by its id.
      for (let times = 0; times < 2; times++) await run(context, CLOSE, { id, updateId: `${id}-u` });
      const { ticket } = await run(context, CHANGES, { id });
      const changes = (ticket?.changes ?? []) as readonly Variables[];
      return verdict(
        compareOrder(
          [`${id}-u {"status":"CLOSED"}`],
          changes.map((change) => `${change.id} ${JSON.stringify(change.changes)}`),
          "change",
        ),
        "5 messages in pages of two, and one change",
      );
    },
  },
  {
    ...rule,
    id: "graphql.errors",
    source: OVER_HTTP,
    title: "What cannot be answered says why, with a code, and nothing of the server's inside",
    async run(context) {
      const id = `kit-${newRunId()}`;
      const cases: Readonly<Record<string, Promise<Answer>>> = {
        "a syntax error": ask(context, "{ tickets("),
        "no such field": ask(context, "{ passwords }"),
        "a variable of another type": ask(context, TICKET, { id: { not: "text" } }),
        "an impossible id": ask(context, CREATE, { id: "a b", subject: "s" }),
        "an empty subject": ask(context, CREATE, { id, subject: " " }),
        "a message of a ticket nobody has": ask(context, POST, { ticketId: id, text: "t" }),
        "no such operation": post(
          context,
          JSON.stringify({ query: "query a { __typename }", operationName: "b" }),
        ),
      };
      for (const [name, answer] of Object.entries(cases)) {
        const problem = refusedProblem(await answer);
        if (problem) return fail(`${name}: ${problem}`);
      }
      const subscription = await ask(context, MESSAGES, { ticketId: id });
      if (subscription.status !== 406)
        return fail(`a subscription without a stream was answered ${subscription.status}, expected 406`);
      for (const body of ["", "{", "nonsense"]) {
        const problem = errorProblem(await post(context, body), 400);
        if (problem) return fail(`the body ${show(body)}: ${problem}`);
      }
      const form = await post(context, "query={__typename}", {
        headers: { "content-type": "application/x-www-form-urlencoded" },
      });
      return verdict(errorProblem(form, 415), `${Object.keys(cases).length} operations and 4 bodies refused`);
    },
  },
  {
    ...rule,
    id: "graphql.limits",
    title:
      "Documents that are too deep, too wide or too dear are refused, and so are batches and large bodies",
    async run(context) {
      const repeat = (count: number, of: (index: number) => string) =>
        Array.from({ length: count }, (_, index) => of(index)).join(" ");
      const dear = "messages(last: 100) { id text at author ticketId }";
      const documents = {
        "9 levels deep": `{ ${repeat(9, () => "a {")} a ${repeat(9, () => "}")} }`,
        "11 fields at the top": `{ ${repeat(11, (index) => `t${index}: __typename`)} }`,
        "50,000 fields to be answered": `{ tickets(first: 100) { items { id ${dear} } } }`,
        "as many by a variable": `query ($n: Int = 1) { tickets(first: $n) { items { ${dear.replace("100", "$n")} } } }`,
        "as many in a fragment": `{ tickets(first: 100) { items { ...f } } } fragment f on Ticket { ${dear} }`,
      };
      for (const [name, query] of Object.entries(documents)) {
        const problem = refusedProblem(await ask(context, query), "too-large");
        if (problem) return fail(`${name}: ${problem}`);
      }
      const words = await ask(context, `{ ${repeat(1_100, () => "__typename")} }`);
      const tooMany = refusedProblem(words);
      if (tooMany) return fail(`1,100 words: ${tooMany}`);
      const page = refusedProblem(await ask(context, "{ tickets(first: 101) { next } }"), "invalid-input");
      if (page) return fail(`a page of 101: ${page}`);
      const one = { query: "{ __typename }" };
      const batch = await post(context, JSON.stringify([one, one]));
      if (batch.status < 400 || batch.status >= 500 || Array.isArray(batch.json))
        return fail(`a batch was answered ${batch.status} ${show(batch.text)}, expected it refused`);
      const large = await ask(context, `{ __typename } # ${"x".repeat(64 * 1024)}`);
      return verdict(
        large.status >= 400 && large.status < 500
          ? undefined
          : `a body over 64 KiB was answered ${large.status}, expected it refused`,
        `${Object.keys(documents).length} documents, a page, a batch and a body refused`,
      );
    },
  },
  {
    ...rule,
    id: "graphql.tenant",
    title: "Nobody asks for, changes or follows tickets of another company",
    needs: ["stream", "auth"],
    async run(context) {
      const { otherCompany, otherToken } = context.target;
      const id = `kit-${newRunId()}`;
      const company = otherCompany;
      const foreign = [
        ["a query", "{ tickets { next } }"],
        ["a mutation", CREATE],
        ["a subscription", MESSAGES],
      ] as const;
      for (const [name, query] of foreign) {
        const variables = { id, subject: "s", ticketId: id };
        const problem = errorProblem(await ask(context, query, variables, { company }), 403);
        if (problem) return fail(`${name} of another company: ${problem}`);
        const nobody = errorProblem(await ask(context, query, variables, { token: null }), 401);
        if (nobody) return fail(`${name} without a token: ${nobody}`);
      }
      if (otherToken === undefined) return pass("403 and 401");
      const stream = await subscribe(context, UPDATES, {});
      const theirs = await ask(context, CREATE, { id, subject: "theirs" }, { company, token: otherToken });
      if (theirs.status !== 200) return fail(`the other company itself was answered ${theirs.status}`);
      if ((await run(context, TICKET, { id })).ticket !== null) return fail("a ticket of theirs is shown");
      const own = `kit-${newRunId()}`;
      await run(context, CREATE, { id: own, subject: "own" });
      const came = () => itemsOf(stream).map((item) => JSON.stringify(item));
      if (!(await stream.until(() => came().some((text) => text.includes(own)), context.waitMs)))
        return fail("the company's own ticket did not reach its subscription");
      return came().some((text) => text.includes(id))
        ? fail("a ticket of theirs reached the subscription")
        : pass("403, 401, and own tickets only");
    },
  },
  {
    ...rule,
    id: "graphql.introspection",
    title: "The schema is not shown in production, nor by hints in errors",
    needs: ["stream", "auth"],
    async run(context) {
      for (const query of ["{ __schema { types { name } } }", '{ __type(name: "Ticket") { name } }']) {
        const problem = refusedProblem(await ask(context, query));
        if (problem) return fail(`${query}: ${problem}`);
      }
      const near = await ask(context, "{ ticketz { next } }");
      return /did you mean/i.test(near.text) ? fail(`a hint: ${show(near.text)}`) : pass("refused");
    },
  },
];
