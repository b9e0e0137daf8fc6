/** Patterns over routing keys as AMQP's topic exchanges have them: `*` is one word, `#` any number of them, none as well. Pure. */

/** The words of a pattern or a key: what is between its dots. */
export type Words = readonly string[];

export interface Topics {
  /** Those that can be used; a key that one of them matches is meant. */
  readonly patterns: readonly Words[];
  /** The others, each with what is wrong with it. */
  readonly problems: readonly string[];
}

/** AMQP 0-9-1, section 4.2.5.3: a short string. */
const MAX_CHARS = 255;
const WORD = /^(\*|#|[a-z0-9_-]*)$/;

export function wordsOf(text: string): Words {
  return text.split(".");
}

/** Patterns separated by white space. */
export function parseTopics(text: string): Topics {
  const patterns: Words[] = [];
  const problems: string[] = [];
  for (const pattern of new Set(text.split(/\s+/).filter(Boolean))) {
    const problem = problemOf(pattern);
    if (problem === undefined) patterns.push(wordsOf(pattern));
    else problems.push(`"${pattern}": ${problem}`);
  }
  return { patterns, problems };
}

function problemOf(pattern: string): string | undefined {
  if (pattern.length > MAX_CHARS) return `${pattern.length} characters, expected at most ${MAX_CHARS}`;
  const bad = wordsOf(pattern).find((word) => !WORD.test(word));
  if (bad === undefined) return undefined;
  return /^[a-z0-9_*#-]*$/.test(bad)
    ? "* and # stand for whole words, between dots"
    : "a key has only a-z 0-9 _ - and dots between its words";
}

/** Whether the whole key fits. At most the product of both lengths in steps: a pattern of many `#` costs no more. */
export function matchesTopic(pattern: Words, key: Words): boolean {
  let at = 0;
  let inKey = 0;
  /** The last `#` and how far it reaches: what follows it is tried there first, then a word further on. */
  let hash = -1;
  let reach = 0;
  while (inKey < key.length) {
    const word = pattern[at];
    if (word === "#") {
      hash = at++;
      reach = inKey;
    } else if (word !== undefined && (word === "*" || word === key[inKey])) {
      at++;
      inKey++;
    } else if (hash >= 0) {
      at = hash + 1;
      inKey = ++reach;
    } else return false;
  }
  while (pattern[at] === "#") at++;
  return at === pattern.length;
}
