/**
 * Cuts a member's value out of JSON text as it is written there: `JSON.parse` would turn 12345678901234567890 and 1.0 into other
 * numbers (RFC 8259 section 6 leaves the precision to the reader), and what an event carries is not ours to change.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/**
 * The text of a member's value; undefined when there is no such member. Of a name given twice the last one counts, as with
 * `JSON.parse`.
 * @param json A JSON object that `JSON.parse` has accepted.
 */
export function memberText(json: string, name: string): string | undefined {
  return memberTexts(json, name).at(-1);
}

/** The texts of every member of the name, in the order they are written. @param json As for {@link memberText}. */
export function memberTexts(json: string, name: string): string[] {
  const found: string[] = [];
  // Between members there are only commas and white space, so the next quote opens the next name.
  for (let at = json.indexOf('"'); at >= 0; at = json.indexOf('"', at)) {
    const nameEnd = endOfString(json, at);
    const written = json.slice(at + 1, nameEnd - 1);
    const isIt = written === name || (written.includes("\\") && JSON.parse(`"${written}"`) === name);
    const start = json.indexOf(":", nameEnd) + 1;
    at = endOfValue(json, start);
    if (isIt) found.push(json.slice(start, at).trim());
  }
  return found;
}

/** The position behind the closing quote of the string that opens at `at`. */
function endOfString(json: string, at: number): number {
  for (let i = at + 1; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return json.length;
}

/** The position behind the value that begins at `at` or behind white space there. */
function endOfValue(json: string, at: number): number {
  let depth = 0;
  for (let i = at; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(json, i) - 1;
      if (depth === 0) return i + 1;
    } else if (code === 0x7b || code === 0x5b) {
      depth++;
    } else if (code === 0x7d || code === 0x5d) {
      // Closes this value, or the object around a number, true, false or null.
      if (depth === 0) return i;
      if (--depth === 0) return i + 1;
    } else if (code === COMMA && depth === 0) {
      return i;
    }
  }
  return json.length;
}
