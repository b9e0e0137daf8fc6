/** The page at `/tickets`: the tickets of a company and their conversations, live over GraphQL. */
import { byId, formatClock, setText } from "../kit/dom.ts";
import { announce, showNotice } from "../kit/notices.ts";
import { askForToken, openShell } from "../kit/shell.ts";
import { readToken } from "../kit/token.ts";
import { createApi, type Status } from "./tickets/api.ts";
import { createComposer } from "./tickets/composer.ts";
import { msOf } from "./tickets/conversations.ts";
import { createDesk } from "./tickets/desk.ts";
import { createDetails, showPeople } from "./tickets/details.ts";
import { openFeed } from "./tickets/feed.ts";
import { createLoader } from "./tickets/loader.ts";
import { createLogView } from "./tickets/log-view.ts";
import { rowsOf } from "./tickets/model.ts";
import { openNewTicket } from "./tickets/new-ticket.ts";
import type { News } from "./tickets/news.ts";
import { createOutbox, type Sending } from "./tickets/outbox.ts";
import { openReads, type Reads } from "./tickets/reads.ts";
import { openSelection } from "./tickets/selection.ts";
import { createTalk } from "./tickets/talk.ts";
import { countWords, createTicketList } from "./tickets/ticket-list.ts";
import { isMine, NOBODY, newId, readMe } from "./tickets/words.ts";

/** Milliseconds after which times of yesterday are yesterday's. */
const DAY_LOOK_MS = 60_000;
/** Names offered as assignees. */
const MAX_PEOPLE = 50;
const TITLE = document.title;

const { companyId } = openShell({ parameters: ["ticket"] });
const me = readMe(readToken());
const api = createApi(companyId);
const desk = createDesk();
const outbox = createOutbox({
  ...{ api, key: `millrace.tickets.outbox.${companyId}`, name: me.name },
  ...{ onChange: draw, onUnauthorized: askForToken },
});
const sources = { desk, outbox, me };
const loader = createLoader({
  ...{ api, desk, onChange: draw, onNews },
  openId: () => selection.id,
  onStart() {
    sent = outbox.all().filter((item) => item.state === "sent");
  },
  onLoaded() {
    heardMs = Date.now();
    for (const { id } of sent) outbox.seen(id);
  },
  onRead({ id, messages }) {
    outbox.seen(id);
    for (const message of messages) outbox.seen(message.id);
  },
});
/** What the server had when everything was asked for. */
let sent: readonly Sending[] = [];
let reads: Reads | undefined;
let status: Status | undefined;
let isLive = false;
let heardMs = 0;

const search = byId("search", HTMLInputElement);
const wide = matchMedia("(min-width: 861px)");
const selection = openSelection(draw);
const list = createTicketList({ hrefOf: selection.hrefOf, onOpen: (id) => open(id) });
const details = createDetails((id, input) => outbox.add({ kind: "update", input }, newId(me), id));
const composer = createComposer({
  onSend: (id, text) => outbox.add({ kind: "message", text }, newId(me), id),
  onLeave: () => (wide.matches ? list.focus() : leave()),
});
const log = createLogView({
  onOlder: () => selection.id !== undefined && loader.older(selection.id),
  onEnd: markRead,
  onRetry: (id) => outbox.retry(id),
  onDiscard: (id) => outbox.discard(id),
});
const showTalk = createTalk({ companyId, sources, loader, details, composer, log });

openNewTicket(({ text, ...input }) => {
  const id = newId(me);
  outbox.add({ kind: "create", input }, id, id);
  if (text !== "") outbox.add({ kind: "message", text }, newId(me), id);
  open(id);
});
openFeed({
  companyId,
  feeds: [byId("list", HTMLDivElement), byId("log", HTMLDivElement)],
  onBegin: () => loader.begin(),
  onRefused: () => loader.begin(),
  onEvent(event) {
    heardMs = Date.now();
    loader.hear(event);
  },
  onState(now) {
    if (isLive || now) heardMs = Date.now();
    if (now && !isLive) outbox.nudge();
    isLive = now;
    draw();
  },
});

byId("filter", HTMLFieldSetElement).addEventListener("change", ({ target }) => {
  status = ((target as HTMLInputElement).value || undefined) as Status | undefined;
  draw();
});
search.addEventListener("input", draw);
byId("more", HTMLButtonElement).addEventListener("click", () => {
  if (!list.hasMore) loader.more(status);
  list.grow();
  draw();
});
for (const id of ["back", "no-talk-back"]) byId(id, HTMLButtonElement).addEventListener("click", leave);
document.addEventListener("visibilitychange", draw);
wide.addEventListener("change", draw);
setInterval(draw, DAY_LOOK_MS);

function open(id: string): void {
  selection.open(id);
  render();
  log.toEnd();
  // A keyboard that comes up would hide what was opened.
  if (wide.matches) composer.focus();
  else byId("subject", HTMLHeadingElement).focus({ preventScroll: true });
}

function leave(): void {
  selection.leave();
  render();
  list.focus();
}

function onNews(news: News): void {
  if (news.kind === "created") outbox.seen(news.ticket.id);
  if (news.kind === "updated") outbox.seen(news.change.id);
  if (news.kind !== "message") return;
  const { message } = news;
  outbox.seen(message.id);
  if (message.ticketId !== selection.id || isMine(message, me)) return;
  announce(`${message.author ?? NOBODY}: ${message.text.slice(0, 200)}`);
}

/** Whoever sees the end of a conversation has read it. */
function markRead(): void {
  const id = selection.id;
  const last = id === undefined ? undefined : desk.ticket(id)?.last;
  const isSeen = log.isAtEnd && !document.hidden && (wide.matches || selection.isChosen);
  if (!isSeen || !reads || !last || !desk.conversations.get(last.ticketId)?.isRead) return;
  if (!reads.isUnread(last.ticketId, msOf(last.at))) return;
  reads.mark(last.ticketId, msOf(last.at));
  draw();
}

let isDue = false;
/** Once a frame, however much happens; none comes while the page is hidden, and one when it is shown. */
function draw(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(render);
}

function render(): void {
  isDue = false;
  dropRefusedUpdates();
  if (loader.isLoaded && reads === undefined) {
    const newestMs = Math.max(0, ...Array.from(desk.tickets(), ({ touchedMs }) => touchedMs));
    reads = openReads(companyId, newestMs, draw);
  }
  const isUnread: Reads["isUnread"] = (id, ms) => reads?.isUnread(id, ms) ?? false;
  const everything = rowsOf({ status: undefined, words: "", isUnread }, sources);
  const words = search.value.trim().toLowerCase();
  const rows = status || words ? rowsOf({ status, words, isUnread }, sources) : everything;
  if (wide.matches && loader.isLoaded && selection.id === undefined && everything[0]) {
    selection.propose(everything[0].ticket.id);
  }
  byId("desk", HTMLDivElement).dataset.view = selection.isChosen ? "talk" : "list";

  list.show(rows, selection.id);
  byId("more", HTMLButtonElement).hidden = !list.hasMore && !loader.hasMore(status);
  const empty = byId("rows-empty", HTMLParagraphElement);
  empty.hidden = rows.length > 0;
  setText(empty, describeEmpty(everything.length));
  const unread = everything.filter((row) => row.isUnread).length;
  const count = countWords(rows.length, !loader.hasMore(status));
  setText(
    byId("list-count", HTMLParagraphElement),
    loader.isLoaded ? count + (unread > 0 ? ` · ${unread} unread` : "") : "",
  );
  document.title = unread > 0 ? `(${unread}) ${TITLE}` : TITLE;
  const names = everything.flatMap(({ ticket }) => ticket.assignee ?? []);
  const people = [...new Set([...(me.name === undefined ? [] : [me.name]), ...names])];
  showPeople(people.slice(0, MAX_PEOPLE).sort());
  const asOf = loader.isLoaded && !isLive ? `As of ${formatClock(new Date(heardMs))}.` : "";
  setText(byId("as-of", HTMLSpanElement), asOf);
  showTalk(selection.id);
  markRead();
}

function describeEmpty(all: number): string {
  if (!loader.isLoaded) return loader.problem ? `No tickets: ${loader.problem}.` : "Loading the tickets.";
  return all > 0 ? "No ticket fits." : "There are no tickets yet. Make the first one.";
}

/** A change that the server does not take is undone, and said; so is a ticket. */
function dropRefusedUpdates(): void {
  for (const { id, state, what, problem } of outbox.all()) {
    if (state !== "failed" || what.kind === "message") continue;
    for (const item of what.kind === "create" ? outbox.of(id) : [{ id }]) outbox.discard(item.id);
    const verb = what.kind === "create" ? `create “${what.input.subject}”` : "change the ticket";
    showNotice("refused-update", `Cannot ${verb}: ${problem}.`, "bad");
  }
}
