/** Times by which readings are stored and asked for: one rule for messages, rows of a CSV file and queries. */

/** Lower case is as good (section 5.6). Nobody has readings of a leap second. */
const RFC3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i;
/** In UTC, as it is written when it is shown again: years of four digits. */
const [FIRST_MS, LAST_MS] = [Date.parse("0000-01-01T00:00:00Z"), Date.parse("9999-12-31T23:59:59.999Z")];

/** Milliseconds since 1970, what it says beyond them cut off. Undefined: it is no RFC 3339, not in the calendar, or of no year from 0 to 9999 in UTC. */
export function readTimestamp(text: string): number | undefined {
  const [, year, month, day] = RFC3339.exec(text) ?? [];
  // Date.parse would make 2 March of 30 February. The calendar repeats itself every 400 years.
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  if (day === undefined || day === "00" || Number(day) > days) return undefined;
  const timeMs = Date.parse(text.toUpperCase());
  return timeMs >= FIRST_MS && timeMs <= LAST_MS ? timeMs : undefined;
}
