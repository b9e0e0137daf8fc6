/** The little the pages need of the DOM. Values go in as text; no page builds HTML from a string. */

/** The element with this id. @throws Error naming the id when the page has none of that kind. */
export function byId<T extends Element>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`Cannot find element "${id}": expected a ${kind.name} on the page`);
}

/** Writes text only when it has changed, so that nothing is laid out or read out again for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A count with thousands separated. */
export function formatCount(count: number): string {
  return count.toLocaleString("en");
}

/** Milliseconds for a reader: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 7 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `14:03:07`, local time. */
export function formatClock(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((n) => String(n).padStart(2, "0"))
    .join(":");
}

/** `14:03:07.042`, local time. */
export function formatClockMs(time: Date): string {
  return `${formatClock(time)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** Events a second: tenths while they say something. */
export function formatRate(rate: number): string {
  return rate > 0 && rate < 99.95 ? rate.toFixed(1) : formatCount(Math.round(rate));
}

export function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
