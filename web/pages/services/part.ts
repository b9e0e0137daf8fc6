/** A part of the page that one stream feeds: as of when it is, while that stream is not live, and why there is nothing where it was refused. */
import type { BadgeState } from "../../kit/connection.ts";
import { byId, formatClock, setText } from "../../kit/dom.ts";

export interface Part {
  /** Something came. */
  heard(): void;
  onState(state: BadgeState): void;
  /** Why the server gives nothing, in words; undefined while it has not refused. */
  readonly refusal: string | undefined;
}

/** `id`: of the element that says as of when. */
export function createPart(id: string): Part {
  const asOf = byId(id, HTMLElement);
  let heardMs = 0;
  let refusal: string | undefined;
  return {
    heard() {
      heardMs = Date.now();
    },
    onState(state) {
      const isBehind = state.kind !== "live" && heardMs > 0;
      setText(asOf, isBehind ? `as of ${formatClock(new Date(heardMs))}` : "");
      asOf.hidden = !isBehind;
      if (state.kind === "refused") {
        refusal =
          state.status === 403
            ? "This part is for operators: sign in with a token of the role ops."
            : `Nothing to show: ${state.reason}`;
      } else refusal = undefined;
    },
    get refusal() {
      return refusal;
    },
  };
}
