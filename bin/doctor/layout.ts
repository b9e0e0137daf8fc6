/** How findings are shown: in columns on a terminal, a line each where a program reads them. */
import { maskUrls } from "../../functions/core/mask-urls.ts";
import type { Finding } from "./examine.ts";
import type { Area } from "./settings.ts";

const LEVELS = { ok: "ok    ", note: "note  ", FAIL: "FAIL  " } as const;
/** Columns of the widest line, and of the names. */
const MOST_COLUMNS = 100;
/** Of a terminal that says no width, or one that nobody could read. */
const USUAL_COLUMNS = 80;
const LEAST_COLUMNS = 40;
const MOST_NAME = 30;

/**
 * What fails alike is said once, at the place of the first: most often one thing is wrong, such as the address that several sources share.
 * @param columns Of the terminal; undefined: there is none.
 */
export function layout(areas: readonly Area[], columns: number | undefined): string[] {
  const shown = merged(areas);
  const lines =
    columns === undefined
      ? shown.flatMap(({ findings }) =>
          findings.map(({ level, what, text }) => `${LEVELS[level]}${what}: ${text}`),
        )
      : inColumns(shown, Math.min(columns < LEAST_COLUMNS ? USUAL_COLUMNS : columns, MOST_COLUMNS));
  return [...lines, summary(shown.flatMap(({ findings }) => findings))];
}

function summary(findings: readonly Finding[]): string {
  const count = (wanted: Finding["level"]) => findings.filter(({ level }) => level === wanted).length;
  const several = (many: number, thing: string) => `${many} ${thing}${many === 1 ? "" : "s"}`;
  return `${count("ok")} ok, ${several(count("note"), "note")}, ${several(count("FAIL"), "failure")}`;
}

function merged(areas: readonly Area[]): Area[] {
  const keyOf = ({ level, what, text }: Finding) => (level === "FAIL" ? text : `${what}\n${text}`);
  const groups = Map.groupBy(
    areas.flatMap(({ findings }) => findings),
    keyOf,
  );
  return areas.flatMap(({ name, findings }) => {
    const firsts = findings.flatMap((finding) => {
      const group = groups.get(keyOf(finding))!;
      if (group[0] !== finding) return [];
      const what = [...new Set(group.map(({ what }) => what))].join(", ");
      return [{ ...finding, what: maskUrls(what), text: maskUrls(finding.text) }];
    });
    return firsts.length === 0 ? [] : [{ name, findings: firsts }];
  });
}

function inColumns(areas: readonly Area[], columns: number): string[] {
  const shortened = areas.map(({ name, findings }) => ({
    name,
    // What the heading says already.
    findings: findings.map((finding) => ({ ...finding, what: short(finding.what, name) })),
  }));
  const names = shortened.flatMap(({ findings }) => findings.map(({ what }) => what.length));
  const width = Math.min(MOST_NAME, Math.max(...names.filter((length) => length <= MOST_NAME), 0));
  const indent = " ".repeat(LEVELS.ok.length + width + 4);
  return shortened.flatMap(({ name, findings }) => [
    name,
    ...findings.flatMap(({ level, what: full, text }, at) => {
      // Said once, where several things are found of it.
      const what = full === findings[at - 1]?.what ? "" : full;
      const head = `  ${LEVELS[level]}${what.padEnd(width)}  `;
      const [first = "", ...rest] = wrap(text, columns - indent.length);
      // A name that is too long has a line of its own.
      const begin = what.length > width ? [...named(level, what, columns), indent + first] : [head + first];
      return [...begin, ...rest.map((line) => indent + line)];
    }),
  ]);
}

/** A name that takes a line, or more. */
function named(level: Finding["level"], what: string, columns: number): string[] {
  const margin = " ".repeat(LEVELS[level].length + 2);
  const lines = wrap(what, columns - margin.length);
  return lines.map((line, at) => (at === 0 ? `  ${LEVELS[level]}${line}` : margin + line));
}

/** Without the address that the heading names, and without the word that it is. */
function short(what: string, heading: string): string {
  const url = heading.replace(/^server /, "");
  return (
    what
      .replaceAll(url, "")
      .replace(/^ ?\((.*)\)$/, "$1")
      .replaceAll(
        /\bsource (\S+) \((\S+) ?([^()]*(?:\(\d+\))?)\)/g,
        (_, name: string, kind: string, place: string) => [...new Set([name, kind, place])].join(" "),
      )
      // Whether it is by TLS is worth its room, and what it is has been said.
      .replaceAll(/\b(?:redis|nats|amqp|mongodb):\/\//g, "")
  );
}

/** At blanks; what has none is left whole. What to do begins a line. */
function wrap(text: string, columns: number): string[] {
  return text.split(/ (?=Next: )/).flatMap((part) => {
    const lines: string[] = [];
    for (const word of part.split(" ")) {
      const last = lines.at(-1);
      if (last !== undefined && last.length + 1 + word.length <= columns)
        lines[lines.length - 1] = `${last} ${word}`;
      else lines.push(word);
    }
    return lines;
  });
}
