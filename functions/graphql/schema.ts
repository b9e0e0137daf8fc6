/** The executable schema. */
import { GraphQLScalarType, Kind } from "graphql";
import { createSchema } from "graphql-yoga";
import { parseCursor } from "../core/cursor.ts";
import { quote } from "../core/ids.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Live } from "../ports/live.ts";
import { invalid } from "./errors.ts";
import { eventResolvers } from "./events.ts";
import type { GraphqlContext } from "./request.ts";
import { subscriptionResolvers } from "./subscriptions.ts";
import { createTicketBooks } from "./ticket-books.ts";
import { ticketResolvers } from "./tickets.ts";
import { TYPE_DEFS } from "./type-defs.ts";

export interface SchemaDeps {
  readonly log: Pick<EventLog, "append" | "read" | "tip">;
  readonly live: Pick<Live, "follow">;
}

export function createMillraceSchema<Context extends GraphqlContext>({ log, live }: SchemaDeps) {
  const books = createTicketBooks({ log });
  const tickets = ticketResolvers({ log, books });
  const events = eventResolvers({ log });
  return createSchema<Context>({
    typeDefs: TYPE_DEFS,
    resolvers: {
      Cursor: CURSOR,
      ...tickets,
      ...subscriptionResolvers({ live, books }),
      Query: { ...tickets.Query, ...events.Query },
    },
  });
}

const CURSOR = new GraphQLScalarType({
  name: "Cursor",
  parseValue: parseGiven,
  parseLiteral: (node) => parseGiven(node.kind === Kind.STRING ? node.value : undefined),
});

function parseGiven(value: unknown) {
  if (typeof value === "string") return parseCursor(value);
  throw invalid(`Cannot read cursor ${quote(String(value))}: expected a string, as it was sent`);
}
