/** GraphQL on every runtime: what a client of graphql-sse relies on, on a real process of each. */
import { serverAudits } from "graphql-http";
import { type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractServer, startContractServer } from "../runtimes/contract-support.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { run, subscribe } from "./graphql-support.ts";

const skip = missing("redis-server");

const RUNTIMES = [
  { runtime: "node", store: "resp" },
  { runtime: "deno", store: "rest" },
  { runtime: "bun", store: "rest" },
  { runtime: "workerd", store: "rest" },
] as const;

interface Item {
  readonly cursor: string;
  readonly message: { readonly text: string; readonly author: string | null } | null;
}

describe.skipIf(skip !== undefined).for(RUNTIMES)("GraphQL on $runtime", ({ runtime, store }) => {
  let server: ContractServer;
  let client: { url: string; token: string };
  beforeAll(async () => {
    server = await startContractServer({ runtime, store });
    client = { url: server.target.url, token: server.target.token! };
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const openStreams = async () => {
    const response = await fetch(`${client.url}/stream/stats`, {
      headers: { authorization: `Bearer ${client.token}` },
    });
    const { connections } = (await response.json()) as { connections: { totalConnections: number } };
    return connections.totalConnections;
  };

  it("meets every MUST and SHOULD of GraphQL over HTTP", async () => {
    const audits = serverAudits({
      url: `${client.url}/api/graphql`,
      fetchFn: (url: string, init: RequestInit = {}) => {
        const headers = new Headers(init.headers);
        headers.set("authorization", `Bearer ${client.token}`);
        return fetch(url, { ...init, headers });
      },
    });
    const failed: string[] = [];
    for (const audit of audits) {
      const result = await audit.fn();
      if (result.status !== "ok") failed.push(`${audit.id} ${audit.name}: ${result.reason}`);
    }
    expect(failed).toEqual([]);
  });

  it("a mutation reaches a client of graphql-sse, which resumes after a cut; the rest is left when it goes", async () => {
    const created = await run(client, `mutation { createTicket(input: { subject: "s" }, id: "t") { id } }`);
    expect(created).toEqual({ data: { createTicket: { id: "t" } } });
    const chat = `subscription ($after: Cursor) { ticketMessage(ticketId: "t", after: $after) { cursor message { text author } } }`;
    const post = (text: string) =>
      run(client, `mutation ($text: String!) { postTicketMessage(ticketId: "t", text: $text) { id } }`, {
        text,
      });
    const first = subscribe<Item>(client, chat);
    await first.until("the first item", () => first.items.length > 0);
    await post("one");
    await first.until("the message", () => first.items.length === 2);
    first.close();
    await post("two");
    const second = subscribe<Item>(client, chat, { after: first.items[1]!.cursor });
    await second.until("what was missed", () => second.items.length >= 1);
    await post("three");
    await second.until("the next", () => second.items.length >= 2);
    expect([...first.items, ...second.items].flatMap(({ message }) => message?.text ?? [])).toEqual([
      ...["one", "two", "three"],
    ]);
    const read = await run(client, `{ ticket(id: "t") { messages(last: 2) { text } } }`);
    expect(read).toEqual({ data: { ticket: { messages: [{ text: "two" }, { text: "three" }] } } });
    second.close();
    await waitFor("both to be left", async () => (await openStreams()) === 0);
  });

  it("a subscription ends within a second of a revocation", async () => {
    const key = new TextEncoder().encode(server.env.JWT_SECRET);
    const sign = (claims: JWTPayload) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256" })
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(key);
    const token = await sign({ sub: "eve", companyId: "acme" });
    const one = subscribe<Item>({ ...client, token }, "subscription { events { cursor } }");
    await one.until("the first item", () => one.items.length > 0);
    const startMs = performance.now();
    const response = await fetch(`${client.url}/admin/revocations`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await sign({ sub: "o", roles: ["ops"] })}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ subject: "eve" }),
    });
    expect(response.status).toBe(200);
    await one.until("the end", () => one.completed);
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(one.errors[0]!.extensions).toEqual({ code: "revoked" });
    one.close();
  });

  it("stops as its operator does while a subscription is open", async (context) => {
    // At Cloudflare a deployment cuts what is open.
    if (server.stop === undefined) return context.skip("it does not drain");
    const one = subscribe<Item>(client, "subscription { events { cursor } }");
    await one.until("the first item", () => one.items.length > 0);
    const stopped = server.stop();
    await one.until("the end", () => one.completed);
    expect(one.errors[0]!.extensions).toMatchObject({ code: "draining", retryAfter: expect.any(Number) });
    expect(await stopped).toBe(0);
    one.close();
  });
});
