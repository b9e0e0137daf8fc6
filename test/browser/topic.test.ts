import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesTopic, parseTopics, type Words, wordsOf } from "../../web/pages/events/topic.ts";

/** The definition, word by word: exponential, and plainly right (AMQP 0-9-1, section 3.1.3.3). */
function matchesByDefinition(pattern: Words, key: Words): boolean {
  const [word, ...rest] = pattern;
  if (word === undefined) return key.length === 0;
  if (word === "#") {
    return matchesByDefinition(rest, key) || (key.length > 0 && matchesByDefinition(pattern, key.slice(1)));
  }
  return key.length > 0 && (word === "*" || word === key[0]) && matchesByDefinition(rest, key.slice(1));
}

const matches = (pattern: string, key: string) => matchesTopic(wordsOf(pattern), wordsOf(key));

describe("matchesTopic", () => {
  test("is what the definition says, for any pattern and key", () => {
    // Few words, so that they meet often; an empty one stands between two dots.
    const word = fc.constantFrom("a", "b", "c", "");
    const pattern = fc.array(fc.oneof(word, fc.constantFrom("*", "#")), { minLength: 1, maxLength: 7 });
    const key = fc.array(word, { minLength: 1, maxLength: 7 });
    let hits = 0;
    fc.assert(
      fc.property(pattern, key, (words, keyWords) => {
        const expected = matchesByDefinition(words, keyWords);
        hits += Number(expected);
        expect(matchesTopic(words, keyWords)).toBe(expected);
      }),
      { numRuns: 3_000 },
    );
    expect(hits).toBeGreaterThan(200);
  });

  test("a key that a pattern is made from is matched by it", () => {
    const word = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);
    const part = fc.oneof(
      word.map((text) => ({ pattern: text, words: [text] })),
      word.map((text) => ({ pattern: "*", words: [text] })),
      fc.array(word, { maxLength: 4 }).map((words) => ({ pattern: "#", words })),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const key = parts.flatMap(({ words }) => words);
        fc.pre(key.length > 0);
        const pattern = parts.map((one) => one.pattern);
        expect(matchesTopic(pattern, key)).toBe(true);
        expect(parseTopics(pattern.join(".")).problems).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["auth.#", "auth", true],
    ["auth.#", "auth.user.login", true],
    ["auth.#", "author.user", false],
    ["*.image.*", "media.image.uploaded", true],
    ["*.image.*", "media.image", false],
    ["*.image.*", "media.image.uploaded.v2", false],
    ["#.failed", "failed", true],
    ["#", "telemetry.gpu", true],
    ["*", "telemetry.gpu", false],
  ])("%s and %s: %s", (pattern, key, expected) => {
    expect(matches(pattern, key)).toBe(expected);
  });

  test("many # cost no more than the product of both lengths", () => {
    const pattern = Array.from({ length: 120 }, (_, index) => (index % 2 ? "a" : "#"));
    const key = [...new Array<string>(2_000).fill("a"), "b"];
    expect(matchesTopic(pattern, key)).toBe(false);
  });
});

describe("parseTopics", () => {
  test("takes several, and says what cannot be one", () => {
    const { patterns, problems } = parseTopics("  auth.#\tau*.x  Auth.# *.image.* auth.# ");
    expect(patterns).toEqual([
      ["auth", "#"],
      ["*", "image", "*"],
    ]);
    expect(problems).toEqual([
      '"au*.x": * and # stand for whole words, between dots',
      '"Auth.#": a key has only a-z 0-9 _ - and dots between its words',
    ]);
    expect(parseTopics(" \n")).toEqual({ patterns: [], problems: [] });
  });
});
