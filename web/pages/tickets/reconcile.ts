/** Lists in the DOM that keep the elements they have: what is selected, focused or read stays so. */

export interface Keyed<Item> {
  readonly parent: Element;
  readonly keyOf: (item: Item) => string;
  /** An element for it; `update` follows. */
  create(item: Item): HTMLElement;
  update(element: HTMLElement, item: Item): void;
}

/** Shows exactly these, in this order; each time once a key. */
export function createReconciler<Item>({ parent, keyOf, create, update }: Keyed<Item>) {
  let elements = new Map<string, HTMLElement>();
  return (items: readonly Item[]): void => {
    const next = new Map<string, HTMLElement>();
    for (const item of items) {
      const key = keyOf(item);
      if (next.has(key)) continue;
      const element = elements.get(key) ?? create(item);
      next.set(key, element);
      update(element, item);
    }
    for (const [key, element] of elements) if (!next.has(key)) element.remove();
    elements = next;
    const focused = parent.contains(document.activeElement) ? document.activeElement : undefined;
    let place = parent.firstElementChild;
    for (const element of next.values()) {
      if (element === place) place = place.nextElementSibling;
      else parent.insertBefore(element, place);
    }
    // What is moved loses it.
    if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  };
}
