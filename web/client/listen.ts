/** Events of the page, together: added now, and removed by what is returned. Nothing where there is no page. */
export function listen(
  ...all: readonly (readonly [EventTarget | undefined, string, (event: Event) => void])[]
): () => void {
  for (const [target, name, listener] of all) target?.addEventListener(name, listener);
  return () => {
    for (const [target, name, listener] of all) target?.removeEventListener(name, listener);
  };
}
