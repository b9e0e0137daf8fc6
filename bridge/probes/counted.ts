/** What the probes of the sources have in common. */

/** What was found, in one line; where there is more to be known, with a line for each. */
export type Probed = string | { readonly found: string; readonly notes: readonly string[] };

/** Messages that wait, from which a source without a bridge is worth a word. */
export const BACKLOG = 10_000;

/** `1 message`, `2 messages`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
