import { type Context, Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { Principal } from "../../functions/core/principal.ts";
import { createQuota } from "../../functions/routes/quota.ts";
import { startTestApp, token } from "./test-app.ts";

const principalOf = (change: Partial<Principal> = {}): Principal => ({
  subject: undefined,
  companies: ["acme" as CompanyId],
  roles: [],
  issuedAtMs: 1_000,
  expiresAtMs: 2_000,
  ...change,
});

/** Whether they are let through, one after the other. */
async function start(times: number) {
  const refuse = createQuota("things", times);
  let context: Context | undefined;
  const app = new Hono().get("/", (c) => {
    context = c;
    return c.body(null);
  });
  await app.request("/");
  return (change: Partial<Principal> = {}) => refuse(context!, principalOf(change)) === undefined;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("createQuota", () => {
  it("counts by subject, else by what the token says of whom it is for and when", async () => {
    const ask = await start(2);
    const others: Partial<Principal>[] = [
      { subject: "alice" },
      { subject: "bob" },
      {},
      { companies: ["globex" as CompanyId] },
      { issuedAtMs: 1_001 },
      { expiresAtMs: 2_001 },
      // No name is another's by its spelling.
      { subject: JSON.stringify([1_000, 2_000, ["acme"]]) },
      { subject: "all" },
    ];
    for (const other of others) {
      expect([other, ask(other), ask(other), ask(other)]).toEqual([other, true, true, false]);
    }
    // Whatever else her tokens say.
    expect(ask({ subject: "alice", issuedAtMs: 9, companies: [] })).toBe(false);
  });

  it("counts those as one whom nobody asks for a token", async () => {
    const ask = await start(2);
    const nobody = createNoAuthenticator();
    const answers: boolean[] = [];
    for (let n = 0; n < 3; n++) {
      const { issuedAtMs, ...principal } = await nobody.authenticate(undefined);
      answers.push(ask({ ...principal, issuedAtMs: issuedAtMs + n }));
    }
    expect(answers).toEqual([true, true, false]);
  });

  it("begins anew after a minute", async () => {
    vi.useFakeTimers();
    const ask = await start(1);
    expect([ask(), ask()]).toEqual([true, false]);
    vi.advanceTimersByTime(59_999);
    expect(ask()).toBe(false);
    vi.advanceTimersByTime(1);
    expect([ask(), ask()]).toEqual([true, false]);
  });

  it("refuses no stranger for the number of the others, and forgets the first of so many", async () => {
    const ask = await start(1);
    expect([ask({ subject: "first" }), ask({ subject: "first" })]).toEqual([true, false]);
    for (let n = 0; n < 9_999; n++) expect(ask({ subject: `subject-${n}` })).toBe(true);
    expect(ask({ subject: "first" })).toBe(false);
    expect(ask({ subject: "stranger" })).toBe(true);
    expect(ask({ subject: "subject-5000" })).toBe(false);
    expect(ask({ subject: "first" })).toBe(true);
  });
});

it("spellings of one token are one subject", async () => {
  await using app = await startTestApp();
  const [header, payload, signature] = (await token()).split(".") as [string, string, string];
  const statuses: number[] = [];
  for (let n = 1; n <= 31; n++) {
    // As the verifier reads base64url: white space is none of it.
    const spelt = `${header}.${payload}.${signature.slice(0, n)} ${signature.slice(n)}`;
    statuses.push((await app.ask("/stream/tickets", { method: "POST", token: spelt })).status);
  }
  expect(statuses).toEqual([...Array<number>(30).fill(200), 429]);
});
