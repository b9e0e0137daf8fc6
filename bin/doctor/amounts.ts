/** Numbers for a reader. */

/** `1.5 GiB`, `300 MiB`. */
export function bytes(count: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [amount, at] = [count, 0];
  for (; amount >= 1024 && at < units.length - 1; at++) amount /= 1024;
  return `${amount >= 10 || at === 0 ? Math.round(amount) : Math.round(amount * 10) / 10} ${units[at]}`;
}

/** `90 s`, `24 h`, `30 days`. */
export function duration(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** `1,234`. */
export const number = (count: number) => count.toLocaleString("en");
/** `1 key`, `2 keys`. */
export const several = (count: number, thing: string) => `${number(count)} ${thing}${count === 1 ? "" : "s"}`;
