/**
 * Demo of a company's support desk: customers ask, agents answer, tickets are closed in the end. Events as the GraphQL mutations store them
 * (functions/graphql/ticket-events.ts), so that its queries, its subscriptions and the page show them as their own.
 */
import type { GeneratorOptions, Message } from "./message.ts";
import { TALKS, type Talk } from "./ticket-talks.ts";
import { between, pick } from "./walk.ts";

/** Tickets a company works on at the same time. */
const LEAST_OPEN = 2;
const MAX_OPEN = 4;
const AGENTS = ["mia.keller", "tom.okafor", "ines.duarte"] as const;

/** One ticket on its way: what is said next. */
interface Running {
  readonly steps: Iterator<readonly [kind: "created" | "updated" | "message", data: Fields], undefined>;
  readonly id: string;
}
type Fields = Readonly<Record<string, unknown>>;

/** Messages without end, the companies taking turns. Every ticket takes some eight of them, the last of which closes it. */
export function* demoTickets({
  companies,
  random = Math.random,
  now = Date.now,
  newId = () => crypto.randomUUID(),
}: GeneratorOptions): Generator<Message, never> {
  const time = () => new Date(now()).toISOString();
  const desks = companies.map((companyId) => ({ companyId, running: [] as Running[] }));
  /** Each talk once before any comes again. */
  let left: Talk[] = [];

  const open = (): Running => {
    if (left.length === 0) left = [...TALKS];
    const [talk] = left.splice(Math.floor(random() * left.length), 1);
    const id = newId();
    return { id, steps: live(talk!, { id, agent: pick(AGENTS, random), random, newId, time }) };
  };

  for (let turn = 0; ; turn++) {
    const { companyId, running } = desks[turn % desks.length]!;
    if (running.length < LEAST_OPEN || (running.length < MAX_OPEN && random() < 0.3)) running.push(open());
    const one = pick(running, random);
    const { value } = one.steps.next();
    if (value === undefined) {
      running.splice(running.indexOf(one), 1);
      turn--;
      continue;
    }
    const [kind, data] = value;
    const type = `ticket.${kind}`;
    const ts = time();
    yield {
      id: `${type}/${one.id}/${newId()}`,
      ...{ source: "/graphql/tickets", subject: one.id, type, time: ts, companyId },
      body: { companyId, ...data, ts },
    };
  }
}

interface Life {
  readonly id: string;
  readonly agent: string;
  readonly random: () => number;
  readonly newId: () => string;
  readonly time: () => string;
}

function* live(
  { subject, customer, priority, lines }: Talk,
  { id, agent, random, newId, time }: Life,
): Generator<readonly ["created" | "updated" | "message", Fields], undefined> {
  const number = String(between(10_000, 99_999, random));
  const fill = (text: string) => text.replaceAll("#", number);
  const createdAt = time();
  let ticket: Fields = {
    ...{ id, subject: fill(subject), status: "OPEN", priority, requester: customer, assignee: null },
    ...{ createdAt, updatedAt: createdAt },
  };
  const change = (by: string, changes: Fields) => {
    ticket = { ...ticket, ...changes, updatedAt: time() };
    return ["updated", { ticket, changes, by }] as const;
  };

  yield ["created", { ticket }];
  for (const line of lines) {
    if (line === "assign") yield change(agent, { assignee: agent });
    else if (line === "wait") yield change(agent, { status: "PENDING" });
    else if (line === "go on") yield change(customer, { status: "OPEN" });
    else {
      const [by, text] = line;
      const author = by === "customer" ? customer : agent;
      yield ["message", { message: { id: newId(), ticketId: id, author, text: fill(text), at: time() } }];
    }
  }
  yield change(agent, { status: "CLOSED" });
}
