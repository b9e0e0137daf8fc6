/** What one request may cost: a small document must not make a large answer. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import { startTestApp, type TestApp } from "../routes/test-app.ts";
import type { Result } from "./graphql-support.ts";

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

let test: TestApp;
beforeAll(async () => {
  test = await startTestApp();
  const text = "x".repeat(126 * 1024);
  const data = (n: number) => JSON.stringify({ text, n });
  await test.log.append(
    Array.from({ length: 40 }, (_, n) =>
      parseEvent({ companyId: "acme", source: "/test", type: "big", id: `${n}`, dataText: data(n) }),
    ),
  );
  await ask('mutation { createTicket(id: "t", input: { subject: "s" }) { id } }');
  const post = 'mutation ($text: String!) { postTicketMessage(ticketId: "t", text: $text) { id } }';
  for (let n = 0; n < 110; n++) await ask(post, { text: "\u0001".repeat(8_000) });
});
afterAll(() => test?.[Symbol.asyncDispose]());

async function answerTo(query: string, variables: object = {}, headers: Record<string, string> = {}) {
  const body = JSON.stringify({ query, variables });
  const response = await test.ask("/api/graphql", { method: "POST", body, headers });
  return { status: response.status, text: await response.text() };
}
async function ask(query: string, variables: object = {}) {
  const { text } = await answerTo(query, variables);
  return { bytes: text.length, ...(JSON.parse(text) as Result) };
}
const aliases = (count: number, field: string) =>
  Array.from({ length: count }, (_, n) => `a${n}: ${field}`).join(" ");
const codeOf = ({ errors }: Result) => errors?.[0]?.extensions?.code;

describe("what one GraphQL request may cost", () => {
  it.each([
    ["data thrice", `{ events(first: 1) { items { ${aliases(3, "data")} } } }`],
    ["text thrice", `{ ticket(id: "t") { messages { ${aliases(3, "text")} } } }`],
    ["messages thrice", `{ ticket(id: "t") { ${aliases(3, "messages(last: 1) { id }")} } }`],
    ["changes thrice", `{ ticket(id: "t") { ${aliases(3, "changes(last: 1) { id }")} } }`],
    ["what was changed thrice", `{ ticket(id: "t") { changes { ${aliases(3, "changes")} } } }`],
    [
      "data thrice by fragments",
      "{ events(first: 1) { items { a: data ...f } } } fragment f on Event { b: data ... on Event { c: data } }",
    ],
    [
      "data thrice in fields that are merged",
      "{ events(first: 1) { items { a: data } } events(first: 1) { items { b: data } items { c: data } } }",
    ],
    ["data thrice to a subscription", `subscription { events { event { ${aliases(3, "data")} } } }`],
  ])("%s is refused before it is run", async (_, query) => {
    const { errors, data } = await ask(query);
    expect([data, errors?.[0]?.extensions?.code]).toEqual([undefined, "too-large"]);
    expect(errors![0]!.message).toMatch(/3 names of \w+\.\w+ in one object, expected at most 2/);
  });

  it("data weighs more than what is small: no 10 pages of 100 events with it", async () => {
    const query = (field: string) => `{ ${aliases(10, `events(first: 100) { items { ${field} } }`)} }`;
    expect(codeOf(await ask(query("data")))).toBe("too-large");
    expect(codeOf(await ask(query("id")))).toBeUndefined();
  });

  it("a page of large events is shorter than it was asked for, and goes on where it ended", async () => {
    const seen: string[] = [];
    let after: string | null = null;
    for (let more = true; more; ) {
      const { data, bytes } = await ask(
        'query ($after: Cursor) { events(types: ["big"], first: 100, after: $after) { items { id data } next more } }',
        { after },
      );
      expect(bytes).toBeLessThan(1.2 * 1024 * 1024);
      const page = data!.events as { items: { id: string }[]; next: string; more: boolean };
      seen.push(...page.items.map(({ id }) => id));
      [after, more] = [page.next, page.more];
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => String(n)));
  });

  it("pages of one request share what one may hold, and each goes on", async () => {
    const query = `{ ${aliases(10, "events(first: 20) { items { id data } next more }")} }`;
    const { data, bytes } = await ask(query);
    const pages = Object.values(data!) as { items: unknown[]; more: boolean }[];
    expect(pages.every(({ items, more }) => items.length > 0 && more)).toBe(true);
    expect(bytes).toBeLessThan(2.5 * 1024 * 1024);
  });

  it("two of data are answered", async () => {
    const { data, bytes } = await ask(`{ events(first: 8) { items { ${aliases(2, "data")} } } }`);
    expect(data).toHaveProperty("events");
    expect(bytes).toBeGreaterThan(1024 * 1024);
  });

  it.each([
    ["pages of events", `{ ${aliases(10, `events(first: 8) { items { ${aliases(2, "data")} } }`)} }`],
    ["a chat of what takes six bytes a character", '{ ticket(id: "t") { messages(last: 100) { text } } }'],
  ])("over 4 MiB, %s: the answer is what to do instead", async (_, query) => {
    for (const accept of ["application/json", "application/graphql-response+json", "text/event-stream"]) {
      const { status, text } = await answerTo(query, {}, { accept });
      expect(text.length).toBeLessThan(1_000);
      expect(text).toContain('"data":null');
      expect(text).toContain(`"code":"too-large"`);
      expect(text).toMatch(/over 4194304 bytes, ask for fewer/);
      expect(status).toBe(200);
    }
  });

  it("an item of a subscription over 4 MiB is said to be, and what follows comes", async () => {
    const query = "subscription { ticketUpdated { cursor ticket { status messages(last: 100) { text } } } }";
    const reader = (
      await test.ask("/api/graphql/stream", {
        method: "POST",
        headers: { accept: "text/event-stream" },
        body: JSON.stringify({ query: query.replace("last: 100", "last: 90, ") }),
      })
    ).body!.getReader();
    const decoder = new TextDecoder();
    let text = "";
    const until = async (part: string) => {
      while (!text.includes(part)) text += decoder.decode((await reader.read()).value);
    };
    const update = (status: string) =>
      ask(`mutation { updateTicket(id: "t", input: { status: ${status} }) { id } }`);
    await until("id: ");
    await update("PENDING");
    await until("too-large");
    expect(text).toMatch(/id: \S+\ndata: \{"data":null,"errors":\[\{"message":"Cannot answer/);
    expect(text.length).toBeLessThan(MAX_ANSWER_BYTES / 1_000);
    await ask('mutation { createTicket(id: "small", input: { subject: "s" }) { id } }');
    await until('"status":"OPEN","messages":[]');
    await reader.cancel();
  });

  it("a number that is too large is said in few characters", async () => {
    const level = (n: number) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} ...f${n + 1} }`;
    const fragments = Array.from({ length: 60 }, (_, n) => level(n)).join(" ");
    const { errors } = await ask(`{ ...f0 } ${fragments} fragment f60 on Query { __typename }`);
    expect(errors![0]!.message).toBe(
      "Cannot run an operation of this size: over a million fields at the top, expected at most 10",
    );
  });
});
