/** How a NATS source proves who it is, on real servers: nkeys, .creds files, TLS. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connectNats, type NatsServer } from "../../bridge/nats-connection.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { createAuthority } from "../support/certificates.ts";
import { freePort, start } from "../support/process.ts";
import { accepts, missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

type Key = ReturnType<typeof nkeys.createUser>;
const seedOf = (key: Key) => new TextDecoder().decode(key.getSeed());

describe("connectNats", () => {
  let folder: string;
  const why = missing("nats-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-nats-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  let files = 0;
  const write = (name: string, text: string): string => {
    const path = join(folder, `${++files}-${name}`);
    writeFileSync(path, text);
    return path;
  };
  /** @returns its port. */
  const serve = async (config: string): Promise<number> => {
    const port = await freePort();
    const running = start("nats-server", [
      "-c",
      write("nats.conf", `listen: "127.0.0.1:${port}"\n${config}\n`),
    ]);
    onTestFinished(() => running.stop("SIGKILL"));
    await waitFor("nats-server", () => {
      if (running.child.exitCode !== null) throw new Error(running.output());
      return accepts(port);
    });
    return port;
  };
  /** Resolves when a message has gone through. */
  const works = async (server: NatsServer): Promise<void> => {
    const connection = await connectNats(server, "test", new AbortController().signal);
    const got = new Promise<void>((resolve) => {
      connection!.subscribe("metrics.*", {
        callback: (error) => {
          if (!error) resolve();
        },
      });
    });
    connection!.publish("metrics.calculated", "{}");
    await got;
    await connection!.close();
  };
  const errorOf = async (server: NatsServer): Promise<MillraceError> => {
    const error = await connectNats(server, "test", new AbortController().signal).then(
      async (connection) => connection?.close(),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  };

  it("nkey: the seed in a file, with whatever stands around it", async () => {
    const key = nkeys.createUser();
    const port = await serve(`authorization { users: [{ nkey: ${key.getPublicKey()} }] }`);
    const url = `nats://127.0.0.1:${port}`;
    await works({ url, nkey: write("user.nk", `${seedOf(key)}\n`) });
    await works({ url, nkey: write("user.nk", `# bridge\n${seedOf(key)}`) });
    const other = write("other.nk", seedOf(nkeys.createUser()));
    const error = await errorOf({ url, nkey: other });
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(error.message).toBe(
      `Cannot connect to NATS "127.0.0.1:${port}" with "${other}": the server refused the credentials, expected valid ones`,
    );
  });

  it("credentials: a .creds file, read again at every connection", async () => {
    const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
    const port = await serve(
      `operator: ${jwt(operator, operator, "operator")}
       resolver: MEMORY
       resolver_preload: { ${account.getPublicKey()}: ${jwt(operator, account, "account")} }`,
    );
    const url = `nats://127.0.0.1:${port}`;
    const credentials = write("user.creds", creds(jwt(account, user, "user"), user));
    await works({ url, credentials });
    // Signed by someone else.
    writeFileSync(credentials, creds(jwt(nkeys.createAccount(), user, "user"), user));
    const error = await errorOf({ url, credentials });
    expect(error.code).toBe("unauthorized");
    expect(error.message).toContain(`with "${credentials}"`);
    writeFileSync(credentials, creds(jwt(account, user, "user"), user));
    await works({ url, credentials });
  });

  it("tls: a server of an authority of one's own, and one that asks for a certificate too", async () => {
    const authority = createAuthority();
    const server = authority.issue("server");
    const client = authority.issue("bridge");
    const ca = write("ca.pem", authority.cert);
    const paths = `cert_file: "${write("server.pem", server.cert)}", key_file: "${write("server.key", server.key)}"`;
    const port = await serve(`tls { ${paths} }`);
    await works({ url: `nats://127.0.0.1:${port}`, tls: { ca } });
    await works({ url: `tls://localhost:${port}`, tls: { ca } });
    const mutual = await serve(`tls { ${paths}, ca_file: "${ca}", verify: true }`);
    const own = { cert: write("client.pem", client.cert), key: write("client.key", client.key) };
    await works({ url: `tls://127.0.0.1:${mutual}`, tls: { ca, ...own } });

    const untrusted = await errorOf({ url: `tls://127.0.0.1:${port}` });
    expect(untrusted).toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("is not trusted"),
    });
    const stranger = createAuthority("somebody else");
    const wrong = { tls: { ca: write("other.pem", stranger.cert) } };
    expect(await errorOf({ url: `tls://127.0.0.1:${port}`, ...wrong })).toMatchObject({
      code: "unauthorized",
    });
    const nobody = await errorOf({ url: `tls://127.0.0.1:${mutual}`, tls: { ca } });
    // The reset may overtake the alert.
    expect([nobody.code, nobody.message]).toEqual([
      expect.stringMatching(/^(unauthorized|unavailable)$/),
      expect.stringMatching(/refused our certificate|asks for a certificate of ours/),
    ]);
    const mixed = { ca, cert: own.cert, key: write("other.key", server.key) };
    const unfit = await errorOf({ url: `tls://127.0.0.1:${mutual}`, tls: mixed });
    expect(unfit).toMatchObject({
      code: "invalid-settings",
      message: expect.stringContaining("belong together"),
    });
  });

  it("tls: a server without it is not spoken to in the clear", async () => {
    const port = await serve("");
    const error = await errorOf({ url: `nats://127.0.0.1:${port}`, tls: {} });
    expect(error).toMatchObject({
      code: "invalid-settings",
      message: `Cannot connect to NATS "127.0.0.1:${port}": the server has no TLS, expected tls:// only where it has`,
    });
  });

  it("tls: what answers with no TLS after all is told in words of ours, on one line", async () => {
    // No nats-server does it; a proxy that ends TLS elsewhere may.
    const peer = createServer((socket) => {
      socket.on("error", () => {});
      socket.write('INFO {"server_id":"a","version":"2.9.10","tls_required":true,"max_payload":1000}\r\n');
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void peer.close());
    await once(peer, "listening");
    const { port } = peer.address() as AddressInfo;
    const error = await errorOf({ url: `tls://127.0.0.1:${port}` });
    expect(error).toMatchObject({ code: "invalid-settings", retryable: false });
    expect(error.message).toBe(
      `Cannot connect to NATS "127.0.0.1:${port}": TLS failed (ERR_SSL_WRONG_VERSION_NUMBER), expected a server that speaks TLS there, or nats:// in the url and no tls`,
    );
  });

  it("wss: a listener without TLS is not said to be away", async () => {
    const web = await freePort();
    await serve(`websocket { listen: "127.0.0.1:${web}", no_tls: true }`);
    const error = await errorOf({ url: `wss://127.0.0.1:${web}` });
    expect(error.message).toContain("expected a WebSocket listener there, wss:// where it has TLS");
    await works({ url: `ws://127.0.0.1:${web}` });
  });

  it("no credentials where the server wants them: that none were given", async () => {
    const port = await serve('authorization { user: bridge, password: "hunter2" }');
    const error = await errorOf({ url: `nats://127.0.0.1:${port}` });
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(error.message).toBe(
      `Cannot connect to NATS "127.0.0.1:${port}": the server wants credentials and none were given, expected user:password@ or token@ in the url, NATS_CREDS or NATS_NKEY`,
    );
    for (const given of ["bridge:wrong@", "token@"]) {
      const { message } = await errorOf({ url: `nats://${given}127.0.0.1:${port}` });
      expect(message).toContain("the server refused the credentials, expected valid ones");
    }
    await works({ url: `nats://bridge:hunter2@127.0.0.1:${port}` });
  });

  it.each([
    ["nkey", "nowhere.nk", undefined, "ENOENT"],
    ["nkey", "empty.nk", "", "no seed in it, expected the seed of a user"],
    ["nkey", "bad.nk", `SU${"A".repeat(56)}`, "not valid, expected the seed of a user"],
    ["credentials", "bad.creds", "hunter2", "not valid, expected a .creds file"],
    ["ca", "bad.pem", "hunter2", "expected PEM with a CERTIFICATE"],
    ["key", "cert-instead.pem", "-----BEGIN CERTIFICATE-----", "expected PEM with a PRIVATE KEY"],
  ])(
    "%s: a file that cannot be used is named, and nothing of what is in it (%s)",
    async (key, name, text, expected) => {
      const path = text === undefined ? join(folder, name) : write(name, text);
      const files = key === "ca" || key === "key" ? { tls: { [key]: path } } : { [key]: path };
      const error = await errorOf({ url: "nats://127.0.0.1:1", ...files });
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain(`"${path}"`);
      expect(error.message).toContain(expected);
      if (text) expect(error.message).not.toContain(text);
    },
  );
});

/** A NATS JWT (nats-io/jwt, version 2): claims signed by the issuer's key, without the nsc tool. */
function jwt(issuer: Key, subject: Key, type: "operator" | "account" | "user"): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const limits = { subs: -1, data: -1, payload: -1 };
  const account = { ...limits, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const claims = {
    ...{ jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000), name: type },
    ...{ iss: issuer.getPublicKey(), sub: subject.getPublicKey() },
    nats: {
      ...{ type, version: 2 },
      ...(type === "account" ? { limits: account } : {}),
      ...(type === "user" ? { pub: {}, sub: {}, ...limits } : {}),
    },
  };
  const signed = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(claims)}`;
  return `${signed}.${Buffer.from(issuer.sign(new TextEncoder().encode(signed))).toString("base64url")}`;
}

function creds(token: string, user: Key): string {
  return `-----BEGIN NATS USER JWT-----
${token}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seedOf(user)}
------END USER NKEY SEED------
`;
}
