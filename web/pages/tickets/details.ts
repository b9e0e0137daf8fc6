/** What a ticket is, above its conversation, and how it is changed. */
import { byId, setText } from "../../kit/dom.ts";
import type { Changes, Priority, Status, Ticket } from "./api.ts";
import { msOf } from "./conversations.ts";
import { momentOf, NOBODY } from "./words.ts";

export interface Details {
  show(ticket: Ticket): void;
}

export function createDetails(onChange: (ticketId: string, changes: Changes) => void): Details {
  const status = byId("status", HTMLSelectElement);
  const priority = byId("priority", HTMLSelectElement);
  const assignee = byId("assignee", HTMLInputElement);
  let shown: Ticket | undefined;

  const change = (changes: Changes): void => {
    if (shown) onChange(shown.id, changes);
  };
  status.addEventListener("change", () => change({ status: status.value as Status }));
  priority.addEventListener("change", () => change({ priority: priority.value as Priority }));
  assignee.addEventListener("change", () => {
    const name = assignee.value.trim() || null;
    if (name !== shown?.assignee) change({ assignee: name });
  });
  assignee.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !shown) return;
    assignee.value = shown.assignee ?? "";
  });

  return {
    show(ticket) {
      const isOther = ticket.id !== shown?.id;
      shown = ticket;
      setText(byId("subject", HTMLHeadingElement), ticket.subject);
      const meta = byId("meta", HTMLParagraphElement);
      setText(
        meta,
        `From ${ticket.requester ?? NOBODY} · ${momentOf(msOf(ticket.createdAt))} · ${ticket.id}`,
      );
      if (status.value !== ticket.status) status.value = ticket.status;
      if (priority.value !== ticket.priority) priority.value = ticket.priority;
      // Not under the reader's hand.
      if (isOther || document.activeElement !== assignee) {
        if (assignee.value !== (ticket.assignee ?? "")) assignee.value = ticket.assignee ?? "";
      }
    },
  };
}

/** Names to choose from. */
export function showPeople(names: readonly string[]): void {
  const list = byId("people", HTMLDataListElement);
  const shown = Array.from(list.children, (option) => (option as HTMLOptionElement).value);
  if (names.join("\n") === shown.join("\n")) return;
  list.replaceChildren(
    ...names.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }),
  );
}
