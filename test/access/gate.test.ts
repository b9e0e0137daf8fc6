import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { createGate } from "../../functions/access/gate.ts";
import { createJwtAuthenticator } from "../../functions/adapters/authenticator-jwt.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { newTicket, sealToken, ticketId } from "../../functions/core/ticket.ts";
import type { Way } from "../../functions/ports/gate.ts";
import { ACME, type AccessStore, GLOBEX, openAccessStore, principalOf } from "./access-support.ts";

const SECRET = "a secret of the tests, of 32 characters or more";
const LOCAL = "http://127.0.0.1:8787/stream/updates";
const PUBLIC = "https://stream.example.com/stream/updates";

const tokenOf = (sub: string) =>
  new SignJWT({ companyId: "acme" })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime("5m")
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SECRET));

function start(store: AccessStore) {
  const gate = createGate({
    authenticator: createJwtAuthenticator({ secret: SECRET }),
    copy: store.copy(),
    tickets: store.tickets,
  });
  /** Who is let in, or why not. */
  const ask = (
    way: Way,
    { url = LOCAL, method = "GET", ...headers }: Record<string, string | undefined> = {},
  ): Promise<string | undefined> =>
    gate.admit(new Request(url, { method, headers: headers as Record<string, string> }), way).then(
      ({ principal }) => principal.subject,
      (error) => (error instanceof MillraceError ? error.code : String(error)),
    );
  return { gate, ask };
}

async function ticketFor(store: AccessStore, token: string) {
  const ticket = newTicket();
  await store.tickets.put(await ticketId(ticket), await sealToken(ticket, token), 60_000);
  return ticket;
}

describe("createGate", () => {
  it("takes the header before the ticket before the cookie, each where the way allows it", async () => {
    using store = openAccessStore();
    const { ask } = start(store);
    const [header, cookie] = [await tokenOf("header"), await tokenOf("cookie")];
    const authorization = `Bearer ${header}`;
    const withTicket = async () => `${LOCAL}?ticket=${await ticketFor(store, await tokenOf("ticket"))}`;
    const all = async () => ({ url: await withTicket(), authorization, cookie: `millrace=${cookie}` });
    for (const way of ["bearer", "cookie", "ticket"] as const)
      expect(await ask(way, await all())).toBe("header");
    const withoutHeader = async () => ({ url: await withTicket(), cookie: `millrace=${cookie}` });
    expect(await ask("ticket", await withoutHeader())).toBe("ticket");
    expect(await ask("cookie", await withoutHeader())).toBe("cookie");
    expect(await ask("bearer", await withoutHeader())).toBe("unauthorized");
    expect(await ask("ticket", { url: `${LOCAL}?ticket=used`, cookie: `millrace=${cookie}` })).toBe("cookie");
    for (const way of ["bearer", "cookie", "ticket"] as const) expect(await ask(way)).toBe("unauthorized");
  });

  it("takes the scheme in any case, and falls back from no bad token", async () => {
    using store = openAccessStore();
    const { ask } = start(store);
    const [header, cookie] = [await tokenOf("header"), `millrace=${await tokenOf("cookie")}`];
    expect(await ask("bearer", { authorization: `bearer  ${header}` })).toBe("header");
    for (const authorization of ["Bearer", "Bearer x y", `Bearer ${header}x`, `Bearer ${header} ${header}`]) {
      expect([authorization, await ask("ticket", { authorization, cookie })]).toEqual([
        authorization,
        "unauthorized",
      ]);
    }
    // A proxy's own password is nobody's token.
    expect(await ask("ticket", { authorization: "Basic dXNlcjpwYXNz", cookie })).toBe("cookie");
    expect(await ask("bearer", { authorization: `Bearer${header}` })).toBe("unauthorized");
  });

  it("believes a cookie where nothing is changed, by the name that only its own host can set", async () => {
    using store = openAccessStore();
    const { ask } = start(store);
    const token = await tokenOf("cookie");
    expect(await ask("cookie", { method: "HEAD", cookie: `millrace=${token}` })).toBe("cookie");
    for (const method of ["POST", "PUT", "DELETE"]) {
      expect(await ask("cookie", { method, cookie: `millrace=${token}` })).toBe("unauthorized");
    }
    expect(await ask("cookie", { url: PUBLIC, cookie: `millrace=${token}` })).toBe("unauthorized");
    expect(await ask("cookie", { url: PUBLIC, cookie: `__Host-millrace=${token}` })).toBe("cookie");
  });

  it("leaves a cookie for TLS alone behind a ticket, but on loopback", async () => {
    using store = openAccessStore();
    const { gate } = start(store);
    const token = await tokenOf("alice");
    for (const [url, cookie] of [
      [PUBLIC, /^__Host-millrace=.*; Secure$/],
      ["http://localhost:1/", /^millrace=.*; SameSite=Strict$/],
    ] as const) {
      const ticket = await ticketFor(store, token);
      const { headers } = await gate.admit(new Request(`${url}?ticket=${ticket}`), "ticket");
      expect(headers["set-cookie"]).toMatch(cookie);
    }
    const { headers } = await gate.admit(
      new Request(PUBLIC, { headers: { authorization: `Bearer ${token}` } }),
      "ticket",
    );
    expect(headers).toEqual({});
  });

  it("refuses a JWT anywhere in the URL, whoever asks, and does not repeat it", async () => {
    using store = openAccessStore();
    const { gate, ask } = start(store);
    const token = await tokenOf("alice");
    for (const query of [
      `token=${token}`,
      `ticket=${token}`,
      `x=Bearer%20${token}`,
      `companyId=a&companyId=${token}`,
      // Encrypted (RFC 7516): five parts, of which the second is empty where the key is agreed upon.
      `ticket=${token.split(".")[0]}.a2V5.aXY.dGV4dA.dGFn`,
      `ticket=${token.split(".")[0]}..aXY.dGV4dA.dGFn`,
    ]) {
      const url = `${LOCAL}?${query}`;
      for (const way of ["bearer", "cookie", "ticket"] as const) {
        expect(await ask(way, { url, authorization: `Bearer ${token}` })).toBe("invalid-input");
      }
      const error = await gate.admit(new Request(url), "ticket").catch((thrown: Error) => thrown);
      expect((error as Error).message).not.toContain(token.slice(0, 20));
    }
    expect(await ask("ticket", { url: `${LOCAL}?x=1.2.3`, authorization: `Bearer ${token}` })).toBe("alice");
  });

  it("costs the store nothing for a ticket long past, which a browser keeps coming back with", async () => {
    using store = openAccessStore();
    let takes = 0;
    const tickets = {
      ...store.tickets,
      take(id: string) {
        takes++;
        return store.tickets.take(id);
      },
    };
    const gate = createGate({
      authenticator: createJwtAuthenticator({ secret: SECRET }),
      copy: store.copy(),
      tickets,
    });
    const cookie = `millrace=${await tokenOf("alice")}`;
    for (const [ticket, count] of [
      [newTicket(Date.now() - 120_000), 0],
      [newTicket(), 1],
    ] as const) {
      const request = new Request(`${LOCAL}?ticket=${ticket}`, { headers: { cookie } });
      expect((await gate.admit(request, "ticket")).principal.subject).toBe("alice");
      expect(takes).toBe(count);
    }
  });

  it("lets in nobody whose rules cannot be read", async () => {
    using store = openAccessStore();
    const { ask } = start(store);
    store.cutOff();
    const authorization = `Bearer ${await tokenOf("alice")}`;
    expect(await ask("ticket", { authorization })).toBe("unavailable");
    expect(await ask("ticket", { authorization: "Bearer x" })).toBe("unauthorized");
    store.reconnect();
    expect(await ask("ticket", { authorization })).toBe("alice");
  });

  it("permit: a company of its own, unless that was revoked since", async () => {
    using store = openAccessStore();
    await store.others.put({ kind: "company-revoked", company: ACME, atMs: 5_000 });
    await store.others.changeFeatures(GLOBEX, { streaming: false, maxConnections: 7 });
    const { gate, ask } = start(store);
    await ask("bearer", { authorization: `Bearer ${await tokenOf("alice")}` });
    const both = { companies: [ACME, GLOBEX] };
    expect([5_000, 5_001].map((issuedAtMs) => gate.mayRead(principalOf({ issuedAtMs }), ACME))).toEqual([
      false,
      true,
    ]);
    expect(gate.mayRead(principalOf({ issuedAtMs: 5_001 }), GLOBEX)).toBe(false);
    const forbidden = expect.objectContaining({ code: "forbidden" });
    expect(() => gate.permit(principalOf({ ...both, issuedAtMs: 5_000 }), ACME)).toThrow(forbidden);
    expect(gate.permit(principalOf({ ...both, issuedAtMs: 5_001 }), ACME).streaming).toBe(true);
    expect(gate.permit(principalOf(both), GLOBEX)).toEqual({ streaming: false, maxConnections: 7 });
    expect(() => gate.permit(principalOf({ companies: [ACME], roles: ["ops"] }), GLOBEX)).toThrow(
      "You can only stream events for your own company",
    );
  });
});
