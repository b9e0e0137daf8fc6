/** YAML with positions, so that a problem names the line it is on. No value of the file is ever shown: it may hold credentials. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from "yaml";

export interface YamlFile {
  /** What the file says; meaningless when it has syntax errors. */
  readonly value: unknown;
  /** One line a syntax error: where, and the parser's word for it (its message would quote the file). */
  readonly syntaxErrors: readonly string[];
  /** `line 4: sources[0].kind`, for the value at the path or the nearest one above it. */
  locate(path: readonly PropertyKey[]): string;
}

/** A name that is safe to show: keys are names, but a misplaced value can look like one. */
const PLAIN_NAME = /^[\w-]{1,64}$/;

export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number) => `line ${lines.linePos(offset).line}`;
  const syntaxErrors = document.errors.map(({ code, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    return `line ${line}, column ${col}: not YAML (${code.toLowerCase().replaceAll("_", " ")})`;
  });

  const locate = (path: readonly PropertyKey[]) => {
    let node: ParsedNode | null = document.contents;
    let offset = node?.range[0] ?? 0;
    let shown = "";
    for (const key of path) {
      if (isAlias(node)) node = (node.resolve(document) as ParsedNode | undefined) ?? null;
      if (typeof key === "number") {
        // One value where a list may be: it has no index in the file.
        if (!isSeq(node)) continue;
        shown += `[${key}]`;
        node = node.items[key] ?? null;
        offset = node?.range[0] ?? offset;
        continue;
      }
      const name = String(key);
      shown += `${shown ? "." : ""}${PLAIN_NAME.test(name) ? name : "(a key)"}`;
      const pair = isMap(node)
        ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === name)
        : undefined;
      offset = pair?.key.range[0] ?? offset;
      node = pair?.value ?? null;
    }
    return `${lineOf(offset)}: ${shown || "the file"}`;
  };

  let value: unknown;
  try {
    if (syntaxErrors.length === 0) value = document.toJS();
  } catch {
    // An alias without an anchor, or so many that they would fill the memory.
    syntaxErrors.push(`${locate([])}: not YAML (bad alias)`);
  }
  return { value, syntaxErrors, locate };
}
