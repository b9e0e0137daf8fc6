/** The list on the left. */
import { byId, formatCount, setText } from "../../kit/dom.ts";
import type { Row } from "./model.ts";
import { createReconciler } from "./reconcile.ts";
import { momentOf, PRIORITY_WORDS, STATUS_WORDS, shortTimeOf } from "./words.ts";

export interface TicketListOptions {
  /** Where a ticket's link leads, for who opens it elsewhere. */
  hrefOf(ticketId: string): string;
  onOpen(ticketId: string): void;
}

export interface TicketList {
  show(rows: readonly Row[], openId: string | undefined): void;
  /** More of them, if there are more. */
  grow(): void;
  readonly hasMore: boolean;
  /** The row of the open ticket, else the first. */
  focus(): void;
}

/** Rows in the document; the reader may ask for as many more. */
const ROWS = 60;

export function createTicketList({ hrefOf, onOpen }: TicketListOptions): TicketList {
  const list = byId("rows", HTMLUListElement);
  const template = byId("row", HTMLTemplateElement);
  let limit = ROWS;
  let total = 0;
  /** As they stand, while the reader has the pointer on them: what is aimed at must not move away. */
  let order = new Map<string, number>();

  const reconcile = createReconciler<Row & { readonly isOpen: boolean }>({
    parent: list,
    keyOf: ({ ticket }) => ticket.id,
    create({ ticket }) {
      const element = template.content.firstElementChild!.cloneNode(true) as HTMLLIElement;
      const link = element.querySelector("a")!;
      link.href = hrefOf(ticket.id);
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        onOpen(ticket.id);
      });
      return element;
    },
    update: updateRow,
  });

  list.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const item = document.activeElement?.closest("li");
    const next = event.key === "ArrowDown" ? item?.nextElementSibling : item?.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    next.querySelector("a")?.focus();
  });

  return {
    show(rows, openId) {
      const placeOf = (row: Row): number => order.get(row.ticket.id) ?? -1;
      const sorted = list.matches(":hover") ? rows.toSorted((a, b) => placeOf(a) - placeOf(b)) : rows;
      order = new Map(sorted.map(({ ticket }, place) => [ticket.id, place]));
      total = rows.length;
      reconcile(sorted.slice(0, limit).map((row) => ({ ...row, isOpen: row.ticket.id === openId })));
    },
    grow() {
      limit += ROWS;
    },
    get hasMore() {
      return total > limit;
    },
    focus() {
      const link = list.querySelector<HTMLElement>('a[aria-current="true"]') ?? list.querySelector("a");
      link?.focus();
    },
  };
}

function updateRow(element: HTMLElement, row: Row & { readonly isOpen: boolean }): void {
  const { ticket, lastWords, touchedMs, isUnread, isPending, isOpen } = row;
  const part = (name: string) => element.querySelector<HTMLElement>(name)!;
  const link = part("a");
  if (isOpen) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
  link.dataset.unread = String(isUnread);
  setText(part(".subject"), ticket.subject);
  setText(part(".unread-word"), isUnread ? ", unread" : "");
  const time = part("time") as HTMLTimeElement;
  setText(time, shortTimeOf(touchedMs));
  const moment = new Date(touchedMs).toISOString();
  if (time.dateTime !== moment) {
    time.dateTime = moment;
    time.title = `Touched ${momentOf(touchedMs)}`;
  }
  const status = part(".status");
  status.dataset.status = isPending ? "NEW" : ticket.status;
  setText(status, isPending ? "Sending…" : STATUS_WORDS[ticket.status]);
  const priority = part(".priority");
  priority.hidden = ticket.priority === "NORMAL" || ticket.priority === "LOW";
  priority.dataset.priority = ticket.priority;
  setText(priority, PRIORITY_WORDS[ticket.priority]);
  setText(part(".who"), ticket.assignee === null ? "unassigned" : ticket.assignee);
  setText(part(".last"), lastWords);
}

/** `3 tickets`. */
export function countWords(count: number, isAll: boolean): string {
  const number = `${formatCount(count)}${isAll ? "" : "+"}`;
  return count === 1 && isAll ? "1 ticket" : `${number} tickets`;
}
