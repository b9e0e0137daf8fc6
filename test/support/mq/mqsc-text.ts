/**
 * The text of an MQSC file as commands, by IBM's rules (IBM MQ, "Script (MQSC) commands"): a line that begins with `*` is a comment;
 * `+` at the end goes on at the first word of the next line, `-` at its first column; `;` ends a command; what is not in
 * single quotes becomes upper case. Stricter than a queue manager in one thing: a comment inside a command is refused.
 */

/** `KEYWORD` or `KEYWORD(value, value)`. */
export interface Word {
  readonly key: string;
  /** Undefined without brackets, empty for `KEYWORD()` and `KEYWORD(' ')`. */
  readonly values: readonly string[] | undefined;
}

export interface Command {
  /** Of its first line, from 1. */
  readonly line: number;
  /** On one line, without comments. */
  readonly text: string;
}

export class MqscError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const SYNTAX = "AMQ8405I";

/** The commands of a file, not yet looked into. */
export function splitCommands(file: string): Command[] {
  const commands: Command[] = [];
  let open: { line: number; text: string } | undefined;
  let from = 0;
  const end = () => {
    if (open && open.text.trim() !== "") commands.push({ line: open.line, text: open.text.trim() });
    open = undefined;
  };
  file.split(/\r?\n/).forEach((raw, index) => {
    if (raw.startsWith("*") || raw.trim() === "") {
      if (open) throw new MqscError(SYNTAX, `line ${index + 1}: a command that goes on is cut by this line`);
      return;
    }
    const line = from === 0 ? raw : raw.trimStart();
    const mark = /[+-]\s*$/.exec(line);
    const body = (mark ? line.slice(0, mark.index) : line.trimEnd()).replace(/;\s*$/, "");
    open = { line: open?.line ?? index + 1, text: (open?.text ?? "") + body };
    from = mark?.[0].startsWith("+") ? 1 : 0;
    if (!mark) end();
  });
  if (open) throw new MqscError(SYNTAX, "the file ends inside a command that goes on");
  return commands;
}

/** The words of a command. Throws an MqscError where it is no MQSC. */
export function parseWords(text: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  const refuse = (what: string): never => {
    throw new MqscError(SYNTAX, `Syntax error at "${text.slice(at, at + 30)}": ${what}`);
  };
  const skip = () => {
    while (text[at] === " " || text[at] === "\t") at++;
  };
  const value = (): string => {
    skip();
    if (text[at] !== "'") {
      const bare = /^[A-Za-z0-9._/%*-]*/.exec(text.slice(at))![0];
      at += bare.length;
      return bare.toUpperCase();
    }
    let quoted = "";
    for (at++; ; at++) {
      if (at >= text.length) refuse("a quote is not closed");
      if (text[at] !== "'") quoted += text[at];
      else if (text[at + 1] === "'") {
        quoted += "'";
        at++;
      } else break;
    }
    at++;
    return quoted.trimEnd();
  };
  for (skip(); at < text.length; skip()) {
    const key = /^[A-Za-z][A-Za-z0-9]*/.exec(text.slice(at))?.[0] ?? refuse("a keyword is expected");
    at += key.length;
    skip();
    if (text[at] !== "(") {
      words.push({ key: key.toUpperCase(), values: undefined });
      continue;
    }
    const values: string[] = [];
    do {
      at++;
      values.push(value());
      skip();
    } while (text[at] === ",");
    if (text[at] !== ")") refuse("a closing bracket is expected");
    at++;
    words.push({ key: key.toUpperCase(), values: values.length === 1 && values[0] === "" ? [] : values });
  }
  return words;
}
