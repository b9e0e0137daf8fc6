/** The right half: one ticket with its conversation, or why there is none. */
import { byId, setText } from "../../kit/dom.ts";
import type { Composer } from "./composer.ts";
import type { Details } from "./details.ts";
import type { Loader } from "./loader.ts";
import type { LogView } from "./log-view.ts";
import { linesOf, type Sources, ticketOf } from "./model.ts";

export interface TalkOptions {
  readonly companyId: string;
  readonly sources: Sources;
  readonly loader: Pick<Loader, "open" | "stateOf">;
  readonly details: Details;
  readonly composer: Pick<Composer, "open">;
  readonly log: Pick<LogView, "show">;
}

/** Shows the ticket of an id as far as it is known, and sees to it that the rest is asked for; undefined: none is chosen. */
export function createTalk({ companyId, sources, loader, details, composer, log }: TalkOptions) {
  const { desk, outbox } = sources;

  function showNone(id: string | undefined): void {
    const isMissing = id !== undefined && loader.stateOf(id) === "missing";
    setText(
      byId("no-talk-title", HTMLHeadingElement),
      id === undefined ? "Choose a ticket" : isMissing ? "There is no such ticket" : "Loading the ticket",
    );
    const missing = `The server has no ticket ${id} of ${companyId}, or its log has forgotten it.`;
    setText(
      byId("no-talk-text", HTMLParagraphElement),
      isMissing ? missing : id === undefined ? "Its conversation is shown here, live." : "",
    );
    byId("no-talk-back", HTMLButtonElement).hidden = !isMissing;
  }

  return (id: string | undefined): void => {
    const ticket = id === undefined ? undefined : ticketOf(id, sources);
    byId("talk", HTMLDivElement).hidden = ticket === undefined;
    byId("no-talk", HTMLDivElement).hidden = ticket !== undefined;
    const isOnItsWay = id !== undefined && outbox.of(id).some(({ what }) => what.kind === "create");
    if (id !== undefined && !isOnItsWay) loader.open(id);
    if (id === undefined || ticket === undefined) {
      showNone(id);
      return;
    }
    details.show(ticket);
    composer.open(id);
    const state = isOnItsWay ? "ready" : loader.stateOf(id);
    const { hasMore = false, isWhole = true } = desk.conversations.get(id) ?? {};
    const cut = isWhole || hasMore ? "" : "Older messages are not shown.";
    const problem = typeof state === "object" ? `Not loaded: ${state.problem}.` : cut;
    const note = state === "loading" ? "Loading the conversation." : problem;
    log.show(id, linesOf(id, sources), { note, hasMore });
  };
}
