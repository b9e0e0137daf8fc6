/** Asks for what there is, and keeps it up with what is heard meanwhile. */
import { askForToken } from "../../kit/shell.ts";
import { type Api, ApiError, type Status, type TicketWithMessages, type WholeTicket } from "./api.ts";
import type { Desk } from "./desk.ts";
import { type LogEvent, type News, readNews } from "./news.ts";

export interface LoaderOptions {
  readonly api: Api;
  readonly desk: Desk;
  /** The ticket whose conversation is shown. */
  openId(): string | undefined;
  /** Something else is to be shown. */
  onChange(): void;
  /** Before everything is asked for anew, and when it is there: it has all that was stored before. */
  onStart(): void;
  onLoaded(): void;
  /** News that the desk has heard. */
  onNews(news: News): void;
  /** A ticket as the server has it, with its newest messages. */
  onRead(ticket: TicketWithMessages): void;
}

export interface Loader {
  /** Anew: from here on events are heard. */
  begin(): void;
  hear(event: LogEvent): void;
  /** Sees to it that the conversation is there, or why it is not. */
  open(ticketId: string): void;
  older(ticketId: string): void;
  more(status: Status | undefined): void;
  /** Whether the server has tickets of this status that were not asked for. */
  hasMore(status: Status | undefined): boolean;
  readonly isLoaded: boolean;
  /** Why there is nothing to show. */
  readonly problem: string | undefined;
  stateOf(ticketId: string): "loading" | "missing" | "ready" | { readonly problem: string };
}

/** Messages of a conversation at first, and each time the reader comes to its top. */
const MESSAGES = 30;
/** Pages of tickets at the start, of a hundred each. */
const PAGES = 3;
/** Milliseconds until what was not answered is asked for again. */
const RETRY_MS = 3_000;

export function createLoader(options: LoaderOptions): Loader {
  const { api, desk, onChange, onNews, onRead } = options;
  let run = 0;
  let isLoaded = false;
  let problem: string | undefined;
  /** Heard while the start was asked for; undefined: it is there. */
  let heard: LogEvent[] | undefined;
  /** Where the list goes on, by status; null: nowhere. */
  const nexts = new Map<Status | undefined, string | null>();
  const asking = new Set<string>();
  const missing = new Set<string>();
  const problems = new Map<string, string>();

  const keep = (ticket: TicketWithMessages): void => {
    desk.put(ticket);
    onRead(ticket);
  };
  const keepWhole = (ticket: WholeTicket): void => {
    desk.putWhole(ticket, ticket.messages.length < MESSAGES);
    onRead(ticket);
  };

  async function load(mine: number): Promise<void> {
    const openId = options.openId();
    // What was heard before is in it.
    heard = [];
    options.onStart();
    const [page, open] = await Promise.all([
      api.tickets(undefined, undefined),
      openId === undefined ? undefined : api.ticket(openId, MESSAGES),
    ]);
    if (mine !== run) return;
    desk.forget();
    nexts.clear();
    missing.clear();
    for (const ticket of page.items) keep(ticket);
    nexts.set(undefined, page.next);
    if (open) keepWhole(open);
    else if (openId !== undefined) missing.add(openId);
    [isLoaded, problem] = [true, undefined];
    options.onLoaded();
    hearAll();
    for (let pages = 1; pages < PAGES && nexts.get(undefined); pages++) await more(undefined);
  }

  async function begin(): Promise<void> {
    const mine = ++run;
    for (;;) {
      try {
        return await load(mine);
      } catch (error) {
        const isAgain = mine === run && (await mayPass(error));
        if (mine !== run) return;
        if (!isAgain) return hearAll();
      }
    }
  }

  function hearAll(): void {
    const events = heard ?? [];
    heard = undefined;
    for (const event of events) hear(event);
    onChange();
  }

  /** Says what is wrong, and waits until it is time to ask again. */
  async function mayPass(error: unknown): Promise<boolean> {
    const { message, passes, status } = error instanceof ApiError ? error : UNKNOWN;
    problem = message;
    onChange();
    if (status === 401) askForToken(message);
    if (passes) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return passes;
  }

  function hear(event: LogEvent): void {
    if (heard !== undefined) {
      heard.push(event);
      return;
    }
    const news = readNews(event);
    if (news === undefined) return;
    const id = news.kind === "message" ? news.message.ticketId : news.ticket.id;
    missing.delete(id);
    // Of one that is older than what was asked for.
    if (!desk.hear(news)) void read(id, 1);
    onNews(news);
    onChange();
  }

  async function read(id: string, last: number): Promise<void> {
    const key = `${id} ${last > 1}`;
    if (asking.has(key)) return;
    asking.add(key);
    if (last > 1) desk.conversations.expect(id);
    try {
      const ticket = await api.ticket(id, last);
      problems.delete(id);
      if (ticket) (last > 1 ? keepWhole : keep)(ticket);
      else if (last > 1) missing.add(id);
    } catch (error) {
      const { message, passes } = error instanceof ApiError ? error : UNKNOWN;
      problems.set(id, message);
      if (passes) setTimeout(() => problems.delete(id) && onChange(), RETRY_MS);
    }
    asking.delete(key);
    onChange();
  }

  async function older(id: string): Promise<void> {
    const { hasMore, firstId } = desk.conversations.get(id) ?? {};
    const key = `older ${id}`;
    if (!hasMore || firstId === undefined || asking.has(key)) return;
    asking.add(key);
    try {
      const messages = await api.older(id, MESSAGES, firstId);
      desk.conversations.putOlder(id, firstId, messages, messages.length < MESSAGES);
    } catch (error) {
      // Of the first one the log knows nothing any more, nor of those before. Else the button stays; the badge says where the server is.
      if (error instanceof ApiError && !error.passes && error.status === 200) {
        desk.conversations.putOlder(id, firstId, [], true);
      }
    }
    asking.delete(key);
    onChange();
  }

  async function more(status: Status | undefined): Promise<void> {
    const key = `more ${status}`;
    if (asking.has(key)) return;
    asking.add(key);
    const mine = run;
    try {
      const { items, next } = await api.tickets(status, nexts.get(status) ?? undefined);
      if (mine === run) {
        nexts.set(status, next);
        for (const ticket of items) keep(ticket);
      }
    } catch {
      // The button stays; the badge says where the server is.
    }
    asking.delete(key);
    onChange();
  }

  return {
    begin: () => void begin(),
    hear,
    open(id) {
      const isThere = desk.conversations.get(id)?.isRead || missing.has(id) || problems.has(id);
      if (isLoaded && !isThere) void read(id, MESSAGES);
    },
    older: (id) => void older(id),
    more: (status) => void more(status),
    hasMore: (status) => isLoaded && nexts.get(undefined) !== null && nexts.get(status) !== null,
    get isLoaded() {
      return isLoaded;
    },
    get problem() {
      return problem;
    },
    stateOf(id) {
      if (desk.conversations.get(id)?.isRead) return "ready";
      const why = problems.get(id) ?? (isLoaded ? undefined : problem);
      if (why !== undefined) return { problem: why };
      return missing.has(id) ? "missing" : "loading";
    },
  };
}

const UNKNOWN = { message: "the answer was not understood", passes: false, status: 0 };
