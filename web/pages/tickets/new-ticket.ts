/** The dialog in which a ticket is made. */
import { byId } from "../../kit/dom.ts";
import type { Priority } from "./api.ts";

export interface NewTicket {
  readonly subject: string;
  readonly priority: Priority;
  readonly assignee: string | null;
  /** Empty: none. */
  readonly text: string;
}

export function openNewTicket(onCreate: (ticket: NewTicket) => void): void {
  const dialog = byId("new-dialog", HTMLDialogElement);
  const form = byId("new-form", HTMLFormElement);
  const subject = byId("new-subject", HTMLInputElement);
  const text = byId("new-text", HTMLTextAreaElement);

  byId("new", HTMLButtonElement).addEventListener("click", () => {
    dialog.showModal();
    subject.focus();
  });
  byId("new-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close());
  subject.addEventListener("input", () => {
    // The server wants to see something in it.
    subject.setCustomValidity(subject.value.trim() === "" ? "Say what it is about" : "");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
    onCreate({
      subject: subject.value.trim(),
      priority: byId("new-priority", HTMLSelectElement).value as Priority,
      assignee: byId("new-assignee", HTMLInputElement).value.trim() || null,
      text: text.value.trim() === "" ? "" : text.value,
    });
    form.reset();
  });
}
