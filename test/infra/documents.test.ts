/** The documents: a link from one to another, or to a file, leads there. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const documents = ["README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CHANGELOG.md", ...globSync("docs/*.md")];

/** Without what is shown as it is typed. */
const prose = (path: string) => readFileSync(path, "utf8").replace(/^ *```.*?^ *```/gms, "");

/** The anchors of its headings, as GitHub makes them. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of prose(path).matchAll(/^#+ (.*)$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
    let name = anchor;
    for (let n = 1; anchors.has(name); n++) name = `${anchor}-${n}`;
    anchors.add(name);
  }
  return anchors;
}

describe("documents", () => {
  it.each(documents)("%s: every link leads somewhere", (path) => {
    const astray: string[] = [];
    for (const [, link] of prose(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link!)) continue;
      const [file, anchor] = link!.split("#") as [string, string?];
      const target = file === "" ? path : normalize(join(dirname(path), file));
      const isThere =
        existsSync(target) && (!anchor || !target.endsWith(".md") || anchorsOf(target).has(anchor));
      if (!isThere) astray.push(link!);
    }
    expect(astray).toEqual([]);
  });
});
