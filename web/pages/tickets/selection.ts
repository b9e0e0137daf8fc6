/** Which ticket is open: in the page's address, so that it can be linked to and the browser leads back. */

export interface Selection {
  readonly id: string | undefined;
  /** By the reader, not by the page: on a narrow screen it takes the place of the list. */
  readonly isChosen: boolean;
  hrefOf(id: string): string;
  open(id: string): void;
  /** Shown where there is room, while the reader has chosen none. */
  propose(id: string): void;
  /** To the list. */
  leave(): void;
}

const NAME = "ticket";

/** `onChange`: by the browser's own back and forward. */
export function openSelection(onChange: () => void): Selection {
  const read = () => new URL(location.href).searchParams.get(NAME) ?? undefined;
  let id = read();
  let isChosen = id !== undefined;

  const hrefOf = (other: string | undefined): string => {
    const page = new URL(location.href);
    if (other === undefined) page.searchParams.delete(NAME);
    else page.searchParams.set(NAME, other);
    return `${page.pathname}${page.search}`;
  };

  addEventListener("popstate", () => {
    id = read();
    isChosen = id !== undefined;
    onChange();
  });

  return {
    get id() {
      return id;
    },
    get isChosen() {
      return isChosen;
    },
    hrefOf,
    open(next) {
      // From one ticket to the next there is no way back but to the list.
      if (isChosen) history.replaceState(history.state, "", hrefOf(next));
      else history.pushState({ fromList: true }, "", hrefOf(next));
      [id, isChosen] = [next, true];
    },
    propose(next) {
      id = next;
    },
    leave() {
      [id, isChosen] = [undefined, false];
      if (Object(history.state).fromList) history.back();
      else history.replaceState(null, "", hrefOf(undefined));
    },
  };
}
