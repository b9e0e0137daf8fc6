import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import {
  base64url,
  exportJWK,
  exportSPKI,
  type GenerateKeyPairResult,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { createJwtAuthenticator, type JwtOptions } from "../../functions/adapters/authenticator-jwt.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { mayRead, type Principal } from "../../functions/core/principal.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

const SECRET = "a secret of the tests, of 32 characters or more";
const [ACME, GLOBEX] = [parseCompanyId("acme"), parseCompanyId("globex")];
const bytes = (text: string) => new TextEncoder().encode(text);
const nowSeconds = () => Math.floor(Date.now() / 1000);

const CLAIMS = { companyId: "acme", exp: nowSeconds() + 300 };
const sign = (
  claims: Record<string, unknown>,
  key: CryptoKey | Uint8Array = bytes(SECRET),
  header: { alg: string; kid?: string } = { alg: "HS256" },
) => new SignJWT(claims as JWTPayload).setProtectedHeader(header).sign(key);
const part = (value: unknown) => base64url.encode(JSON.stringify(value));

const check = (options: JwtOptions, token?: string): Promise<Principal> =>
  createJwtAuthenticator(options).authenticate(token);
const withSecret = async (claims: Record<string, unknown>, options: Partial<JwtOptions> = {}) =>
  check({ secret: SECRET, ...options }, await sign(claims));
/** The code of the error the promise is rejected with. */
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "let in",
    (error) => (error instanceof MillraceError ? error.code : String(error)),
  );

describe("createJwtAuthenticator with a secret", () => {
  it("gives a principal of one company", async () => {
    const principal = await withSecret(CLAIMS);
    expect([mayRead(principal, ACME), mayRead(principal, GLOBEX)]).toEqual([true, false]);
    expect(principal).toMatchObject({ companies: ["acme"], roles: [] });
    expect(principal.expiresAtMs).toBe((CLAIMS.exp + 5) * 1000);
  });

  it("says whose the token is and since when, by the issuer's clock; a token that says neither is of nobody, of old", async () => {
    const iat = nowSeconds() - 3;
    expect(await withSecret({ ...CLAIMS, sub: "alice", iat })).toMatchObject({
      subject: "alice",
      issuedAtMs: iat * 1000,
    });
    // By a clock that is ahead: no later than now, or what is open under it would outlive a revocation.
    const ahead = await withSecret({ ...CLAIMS, sub: "alice", iat: nowSeconds() + 4 });
    expect(ahead.issuedAtMs).toBeLessThanOrEqual(Date.now());
    expect(await withSecret(CLAIMS)).toMatchObject({ subject: undefined, issuedAtMs: 0 });
  });

  it("gives a principal of several companies, with roles", async () => {
    const { exp } = CLAIMS;
    const principal = await withSecret({ companies: ["acme", "globex"], roles: ["ops", "x"], exp });
    expect([ACME, GLOBEX].map((company) => mayRead(principal, company))).toEqual([true, true]);
    expect(principal).toMatchObject({ companies: ["acme", "globex"], roles: ["ops", "x"] });
    const both = await withSecret({ companyId: "acme", companies: ["globex"], exp });
    expect(new Set(both.companies)).toEqual(new Set(["acme", "globex"]));
  });

  it("gives ops without a company every view and no company's events", async () => {
    const principal = await withSecret({ roles: ["ops"], exp: CLAIMS.exp });
    expect(principal).toMatchObject({ companies: [], roles: ["ops"] });
    expect(mayRead(principal, ACME)).toBe(false);
  });

  it("takes a token that ended within the tolerance", async () => {
    const token = await sign({ ...CLAIMS, exp: nowSeconds() - 1 });
    const principal = await check({ secret: SECRET }, token);
    expect(principal.expiresAtMs).toBeGreaterThan(Date.now());
  });

  it("lets clocks differ by five seconds, and no more", async () => {
    const at = (seconds: number) => nowSeconds() + seconds;
    for (const claims of [{ exp: at(-3) }, { nbf: at(3) }, { iat: at(3) }]) {
      expect(await codeOf(withSecret({ ...CLAIMS, ...claims }))).toBe("let in");
    }
    for (const claims of [{ exp: at(-6) }, { nbf: at(8) }, { iat: at(8) }]) {
      expect(await codeOf(withSecret({ ...CLAIMS, ...claims }))).toBe("unauthorized");
    }
  });

  it("takes a token of up to 366 days, from its issue, or from now on where it does not say when that was", async () => {
    const [now, days] = [nowSeconds(), (count: number) => count * 86_400];
    for (const [iat, exp, answer] of [
      [now - days(300), now + days(66), "let in"],
      [now - days(300), now + days(66) + 1, "unauthorized"],
      [undefined, now + days(366) - 5, "let in"],
      [undefined, now + days(366) + 5, "unauthorized"],
      [now, 1e18, "unauthorized"],
    ] as const) {
      expect([iat, exp, await codeOf(withSecret({ ...CLAIMS, iat, exp }))]).toEqual([iat, exp, answer]);
    }
  });

  it.each<[string, Record<string, unknown>]>([
    ["no company and no role", {}],
    ["no company and another role", { roles: ["admin"] }],
    ["no companies", { companies: [] }],
    ["an impossible company", { companyId: "a b" }],
    ["an empty company", { companyId: "" }],
    ["a company that is no string", { companyId: ["acme"] }],
    ["null for a company", { companyId: null, companies: ["acme"] }],
    ["one impossible company among others", { companies: ["acme", "*"] }],
    ["companies that are no list", { companies: "acme" }],
    ["roles that are no list", { companyId: "acme", roles: "ops" }],
    ["roles that are no strings", { companyId: "acme", roles: [1] }],
    ["no exp", { companyId: "acme", exp: undefined }],
    ["exp in words", { companyId: "acme", exp: "never" }],
    ["an exp that has passed", { companyId: "acme", exp: nowSeconds() - 10 }],
    ["an iat to come", { companyId: "acme", iat: nowSeconds() + 60 }],
    ["an iat in words", { companyId: "acme", iat: "now" }],
    ["an empty sub", { companyId: "acme", sub: "" }],
    ["a sub without an end", { companyId: "acme", sub: "s".repeat(257) }],
    ["an nbf to come", { companyId: "acme", nbf: nowSeconds() + 60 }],
  ])("refuses a token with %s", async (_name, claims) => {
    expect(await codeOf(withSecret({ exp: CLAIMS.exp, ...claims }))).toBe("unauthorized");
  });

  it("checks iss and aud where they are set", async () => {
    const expected = { issuer: "https://issuer", audience: "millrace" };
    const good = { ...CLAIMS, iss: "https://issuer", aud: ["other", "millrace"] };
    expect(await codeOf(withSecret(good, expected))).toBe("let in");
    for (const wrong of [
      { iss: "https://other" },
      { iss: undefined },
      { aud: "other" },
      { aud: undefined },
    ]) {
      expect(await codeOf(withSecret({ ...good, ...wrong }, expected))).toBe("unauthorized");
    }
  });

  it("refuses whatever is not signed with the secret by HS256, with one message that tells nothing", async () => {
    const token = await sign(CLAIMS);
    const [header, payload, signature] = token.split(".") as [string, string, string];
    const attempts: Record<string, string | undefined> = {
      nothing: undefined,
      "an empty token": "",
      "a scheme before it": `Bearer ${token}`,
      "two tokens": `${token} ${token}`,
      nonsense: "nonsense",
      "alg none": `${part({ alg: "none" })}.${payload}.`,
      "alg None, signed": `${part({ alg: "None" })}.${payload}.${signature}`,
      "no signature": `${header}.${payload}.`,
      "another payload": `${header}.${part({ ...CLAIMS, companyId: "globex" })}.${signature}`,
      "another secret": await sign(CLAIMS, bytes(`${SECRET}!`)),
      "a stronger algorithm": await sign(CLAIMS, bytes(SECRET.repeat(2)), { alg: "HS512" }),
      "the same secret by HS512": await sign(CLAIMS, bytes(SECRET.padEnd(64)), { alg: "HS512" }),
      "a key it brings": `${part({ alg: "HS256", jwk: { kty: "oct", k: base64url.encode("evil") } })}.${payload}.${signature}`,
      "an unknown critical header": `${part({ alg: "HS256", crit: ["x"], x: 1 })}.${payload}.${signature}`,
      "a payload that is no object": `${header}.${part([1])}.${signature}`,
    };
    const messages = new Set<string>();
    for (const [name, authorization] of Object.entries(attempts)) {
      const error = await check({ secret: SECRET }, authorization).then(
        () => new Error(`${name} was let in`),
        (thrown: Error) => thrown,
      );
      expect([name, (error as MillraceError).code]).toEqual([name, "unauthorized"]);
      messages.add(error.message);
    }
    expect(messages.size).toBe(1);
  });

  it.each<[string, JwtOptions]>([
    ["no key", {}],
    ["two keys", { secret: SECRET, jwksUrl: "http://127.0.0.1/" }],
  ])("cannot be made with %s", (_name, options) => {
    expect(() => createJwtAuthenticator(options)).toThrow(
      expect.objectContaining({ code: "invalid-settings" }),
    );
  });
});

describe("createJwtAuthenticator with JWKS_URL", () => {
  let stack = new AsyncDisposableStack();
  afterEach(async () => {
    await stack.disposeAsync();
    stack = new AsyncDisposableStack();
  });

  /** An issuer with a server of its keys. */
  async function startIssuer(answer?: RequestListener) {
    const keys: JWK[] = [];
    const issuer = { url: "", fetches: 0, add, keys, close: () => {} };
    async function add(alg: string, kid: string) {
      const pair = (await generateKeyPair(alg, { extractable: true })) as GenerateKeyPairResult;
      keys.push({ ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" });
      return pair;
    }
    const server = createServer((request, response) => {
      issuer.fetches++;
      if (answer) answer(request, response);
      else response.setHeader("content-type", "application/json").end(JSON.stringify({ keys }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    issuer.close = () => {
      server.close();
      server.closeAllConnections();
    };
    stack.defer(issuer.close);
    issuer.url = `http://127.0.0.1:${(server.address() as { port: number }).port}/jwks.json`;
    return issuer;
  }

  it.each(["RS256", "ES256", "EdDSA"])("lets in %s", async (alg) => {
    const issuer = await startIssuer();
    const { privateKey } = await issuer.add(alg, "one");
    const token = await sign(CLAIMS, privateKey, { alg, kid: "one" });
    expect((await check({ jwksUrl: issuer.url }, token)).companies).toEqual(["acme"]);
  });

  it("fetches the keys once for many tokens, and again when they were rotated", async () => {
    const issuer = await startIssuer();
    const first = await issuer.add("ES256", "one");
    const authenticator = createJwtAuthenticator({ jwksUrl: issuer.url, jwksCooldownMs: 2_000 });
    const ask = (token: string) => codeOf(authenticator.authenticate(token));
    const old = await sign(CLAIMS, first.privateKey, { alg: "ES256", kid: "one" });
    expect(await Promise.all([ask(old), ask(old), ask(old)])).toEqual(["let in", "let in", "let in"]);
    expect(issuer.fetches).toBe(1);

    issuer.keys.length = 0;
    const second = await issuer.add("ES256", "two");
    const young = await sign(CLAIMS, second.privateKey, { alg: "ES256", kid: "two" });
    // A flood of unknown keys is no flood of fetches.
    expect(new Set(await Promise.all([ask(young), ask(young), ask(young)]))).toEqual(
      new Set(["unauthorized"]),
    );
    expect(issuer.fetches).toBe(1);
    await waitFor("the new key", async () => (await ask(young)) === "let in");
    expect(issuer.fetches).toBe(2);
    expect(await ask(old)).toBe("unauthorized");
  });

  it("refuses forged tokens", async () => {
    const issuer = await startIssuer();
    const { privateKey, publicKey } = await issuer.add("RS256", "one");
    const stranger = await generateKeyPair("RS256");
    // A set need not say which algorithm a key is for.
    delete issuer.keys[0]!.alg;
    const otherwise = (await importJWK(await exportJWK(privateKey), "RS384")) as CryptoKey;
    const good = await sign(CLAIMS, privateKey, { alg: "RS256", kid: "one" });
    const [header, payload, signature] = good.split(".");
    const forgeries = {
      // The public key, which everyone has, as the secret of HS256 (RFC 8725 section 2.1).
      "a public key as a secret": await sign(CLAIMS, bytes(await exportSPKI(publicKey)), {
        alg: "HS256",
        kid: "one",
      }),
      "a stranger's key under a known name": await sign(CLAIMS, stranger.privateKey, {
        alg: "RS256",
        kid: "one",
      }),
      "an unknown key": await sign(CLAIMS, stranger.privateKey, { alg: "RS256", kid: "two" }),
      "an algorithm not asked for": await sign(CLAIMS, otherwise, { alg: "RS384", kid: "one" }),
      "a key it brings": `${part({ alg: "RS256", jwk: await exportJWK(stranger.publicKey) })}.${payload}.${signature}`,
      "a place it names": `${part({ alg: "RS256", jku: `${issuer.url}?evil`, kid: "two" })}.${payload}.${signature}`,
      "alg none": `${part({ alg: "none", kid: "one" })}.${payload}.`,
      "another payload": `${header}.${part({ ...CLAIMS, companyId: "globex" })}.${signature}`,
      "a cut signature": good.slice(0, -8),
    };
    for (const [name, token] of Object.entries(forgeries)) {
      expect([name, await codeOf(check({ jwksUrl: issuer.url }, token))]).toEqual([name, "unauthorized"]);
    }
    expect(await codeOf(check({ jwksUrl: issuer.url }, good))).toBe("let in");
  });

  it("is unavailable, not unauthorized, when the keys cannot be had", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const token = await sign(CLAIMS, privateKey, { alg: "ES256", kid: "one" });
    const answers: RequestListener[] = [
      (_, response) => response.writeHead(500).end(),
      (_, response) => response.end("not JSON"),
      (_, response) => response.end('{"keys":5}'),
      (_, response) => response.writeHead(302, { location: "/elsewhere" }).end(),
    ];
    for (const answer of answers) {
      const { url } = await startIssuer(answer);
      expect(await codeOf(check({ jwksUrl: url }, token))).toBe("unavailable");
    }
    const nobody = `http://127.0.0.1:${await freePort()}/`;
    expect(await codeOf(check({ jwksUrl: nobody }, token))).toBe("unavailable");
  });

  it("goes on with the keys it has while their server is away", async () => {
    const issuer = await startIssuer();
    const { privateKey } = await issuer.add("ES256", "one");
    const stranger = await generateKeyPair("ES256");
    const authenticator = createJwtAuthenticator({ jwksUrl: issuer.url, jwksCooldownMs: 0 });
    const good = await sign(CLAIMS, privateKey, { alg: "ES256", kid: "one" });
    expect(await codeOf(authenticator.authenticate(good))).toBe("let in");
    issuer.close();
    expect(await codeOf(authenticator.authenticate(good))).toBe("let in");
    // A key it does not have may be a new one: nobody can tell at the moment.
    const unknown = await sign(CLAIMS, stranger.privateKey, { alg: "ES256", kid: "two" });
    expect(await codeOf(authenticator.authenticate(unknown))).toBe("unavailable");
  });

  it("asks for no key on behalf of who brings no token", async () => {
    const issuer = await startIssuer();
    expect(await codeOf(check({ jwksUrl: issuer.url }))).toBe("unauthorized");
    expect(issuer.fetches).toBe(0);
  });
});
