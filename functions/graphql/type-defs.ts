/** The schema. */
export const TYPE_DEFS = /* GraphQL */ `
  "Where one stands in the company's log: opaque, the same as on /stream/updates."
  scalar Cursor
  "A date and time of RFC 3339."
  scalar DateTime
  "Any JSON value."
  scalar JSON

  enum TicketStatus {
    OPEN
    PENDING
    CLOSED
  }

  enum TicketPriority {
    LOW
    NORMAL
    HIGH
    URGENT
  }

  type Ticket {
    id: ID!
    subject: String!
    status: TicketStatus!
    priority: TicketPriority!
    "Who created it: the subject of the token; null where that names nobody."
    requester: String
    assignee: String
    createdAt: DateTime!
    updatedAt: DateTime!
    """
    Its newest messages, or those right before the one of the id before; the oldest of them first. At most 100. Of ticket(id), fewer only where
    there are no more: older ones are read from the log, at most 200 a request. Elsewhere those alone that are in memory.
    """
    messages(last: Int = 20, before: ID): [TicketMessage!]!
    "Its newest changes, the oldest of them first. At most 100, of those that are in memory."
    changes(last: Int = 20): [TicketChange!]!
  }

  type TicketChange {
    "The updateId."
    id: ID!
    at: DateTime!
    "Who made it: the subject of the token; null where that names nobody."
    by: String
    "What became of it: of subject, status, priority and assignee those that were changed."
    changes: JSON!
  }

  enum TicketOrder {
    "Those created last first."
    CREATED
    "Those with the last message or change first. One that is touched between two pages is not on the second."
    TOUCHED
  }

  type TicketMessage {
    id: ID!
    ticketId: ID!
    "Who wrote it: the subject of the token; null where that names nobody."
    author: String
    text: String!
    at: DateTime!
  }

  type TicketPage {
    items: [Ticket!]!
    "To be given as after for the next page; null when this is the last one."
    next: String
  }

  "An event of the company's log, a CloudEvent."
  type Event {
    cursor: Cursor!
    id: ID!
    type: String!
    source: String!
    subject: String
    time: DateTime!
    data: JSON!
  }

  type EventPage {
    items: [Event!]!
    "To be given as after for what follows."
    next: Cursor!
    "Whether there is something to follow now."
    more: Boolean!
    "What could not be read."
    gap: Gap
  }

  enum GapReason {
    expired
    reset
    dropped
  }

  "What the log has no more."
  type Gap {
    reason: GapReason!
    requested: Cursor!
    resumedAt: Cursor!
  }

  "A ticket that was created or updated, or a gap; with neither it only says where one stands."
  type TicketUpdate {
    cursor: Cursor!
    ticket: Ticket
    gap: Gap
  }

  "A message that was posted, or a gap; with neither it only says where one stands."
  type TicketMessagePost {
    cursor: Cursor!
    message: TicketMessage
    gap: Gap
  }

  "An event, or a gap; with neither it only says where one stands."
  type EventItem {
    cursor: Cursor!
    event: Event
    gap: Gap
  }

  input CreateTicketInput {
    "1-200 characters."
    subject: String!
    priority: TicketPriority = NORMAL
    "1-256 characters."
    assignee: String
  }

  "What is left out stays as it is."
  input UpdateTicketInput {
    subject: String
    status: TicketStatus
    priority: TicketPriority
    "Null: nobody any more."
    assignee: String
  }

  type Query {
    "At most 100 a page."
    tickets(status: TicketStatus, order: TicketOrder = CREATED, first: Int = 20, after: String): TicketPage!
    ticket(id: ID!): Ticket
    "The log from a cursor on, or from the oldest event that it keeps. At most 100 a page, which may hold fewer although there are more: all pages of a request about a mebibyte, each one event at least."
    events(types: [String!], after: Cursor, first: Int = 20): EventPage!
  }

  type Mutation {
    "The ticket's id may be given, so that asking again makes no second one: 1-64 characters of A-Z a-z 0-9 . _ -"
    createTicket(input: CreateTicketInput!, id: ID): Ticket!
    "An id of the update may be given, so that asking again changes nothing more."
    updateTicket(id: ID!, input: UpdateTicketInput!, updateId: ID): Ticket!
    "At most 8,000 characters. The message's id may be given, so that asking again posts nothing more."
    postTicketMessage(ticketId: ID!, text: String!, id: ID): TicketMessage!
  }

  type Subscription {
    "Of one ticket, or of all. From after on, or from now on."
    ticketUpdated(id: ID, after: Cursor): TicketUpdate!
    ticketMessage(ticketId: ID!, after: Cursor): TicketMessagePost!
    events(types: [String!], after: Cursor): EventItem!
  }
`;
