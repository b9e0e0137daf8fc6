/** `millrace doctor URL`: a fault planted in the configuration of a real nginx is named, with the directive that mends it, and nothing else is blamed. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createGzip } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../bin/doctor/examine.ts";
import { examineUrl, urlLimitMs } from "../../bin/doctor/url.ts";
import { type Instance, mintToken, startServe } from "../faults/lib/millrace.ts";
import { startNginx, startShippedNginx } from "../nginx/nginx.ts";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/process.ts";
import { missing } from "../support/servers.ts";
import { cli, temporaryFolder } from "./cli.ts";

const noNginx = missing("nginx");
const HEARTBEAT_MS = 700;
const ORIGIN = "https://app.example";

/** What a proxy of Millrace needs; a fault replaces a part of it. */
const GOOD = `
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header Host $http_host;
  proxy_buffering off;
  proxy_read_timeout 24h;`;
/** nginx caches nothing that it does not buffer. Streams say themselves that they are not to be (X-Accel-Buffering). */
const CACHING = GOOD.replace("proxy_buffering off;", "");

let server: Instance;
/** One that does not compress streams itself. */
let uncoded: Instance;
let token: string;
let folder: ReturnType<typeof temporaryFolder>;

beforeAll(async () => {
  folder = temporaryFolder();
  const env = { DATA_DIR: folder.path, HEARTBEAT_MS: String(HEARTBEAT_MS), CORS_ORIGINS: ORIGIN };
  server = await startServe(env);
  uncoded = await startServe({ ...env, STREAM_COMPRESSION: "off" });
  token = await mintToken("acme");
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await uncoded?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

interface Planted {
  /** Instead of the good directives. */
  readonly directives?: string;
  /** Beside the location of everything. */
  readonly beside?: string;
  /** In the http context. */
  readonly http?: string;
  readonly upstream?: () => string;
  /** By itself: what other tests take of the machine would look like a fault too. */
  readonly isTimed?: boolean;
}

/** nginx with these directives in its one location. */
async function plant({ directives = GOOD, beside = "", http = "", upstream = () => server.url }: Planted) {
  const port = await freePort();
  const nginx = await startNginx({
    ports: [port],
    http: (root) => `
map $http_upgrade $connection_upgrade { websocket upgrade; default ""; }
proxy_cache_path ${root}/cache keys_zone=kept:1m;
${http}
server {
  listen 127.0.0.1:${port};
  ${beside}
  location / { proxy_pass ${upstream()}; ${directives} }
}`,
  });
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: nginx[Symbol.asyncDispose] };
}

const look = (url: string, heartbeatMs = HEARTBEAT_MS) =>
  examineUrl({ url, token, company: "acme", heartbeatMs, origins: [ORIGIN] });
const failed = (findings: readonly Finding[]) => findings.filter(({ level }) => level === "FAIL");
/** `/stream/updates: text` */
const lines = (url: string, findings: readonly Finding[]) =>
  findings.map(({ what, text }) => `${what.replaceAll(url, "")}: ${text}`);

/** Directives, and each line that is to be found. */
const FAULTS: Readonly<Record<string, Planted & { readonly finds: readonly RegExp[] }>> = {
  "a stream that is buffered": {
    directives: GOOD.replace("buffering off", "buffering on; proxy_ignore_headers X-Accel-Buffering"),
    finds: [/^\/stream\/updates: buffered: .*"proxy_buffering off;"/],
  },
  "a read timeout below the heartbeat": {
    isTimed: true,
    directives: GOOD.replace("24h", "300ms"),
    finds: [
      /^\/stream\/updates: idle timeout: cut after 0\.[2-5] s of silence.*"proxy_read_timeout 24h;"/,
      /^\/ws\/dashboard: cut after 0\.[2-5] s.*"proxy_read_timeout 24h;"/,
    ],
  },
  "compression by nginx": {
    upstream: () => uncoded.url,
    directives: `${GOOD} gzip on; gzip_types text/event-stream; gzip_proxied any;`,
    finds: [/^\/stream\/updates \(compression\): compress.*gzip_types/],
  },
  "an upgrade that is not handed on": {
    directives: GOOD.replace(/.*Upgrade.*\n.*Connection.*\n/, ""),
    finds: [/^\/ws\/dashboard: the upgrade was refused .*"proxy_http_version 1\.1; proxy_set_header Upgrade/],
  },
  "an upgrade without its Connection header": {
    directives: GOOD.replace(/.*Connection.*\n/, ""),
    finds: [/^\/ws\/dashboard: the upgrade was refused /],
  },
  "a host that is not handed on": {
    directives: GOOD.replace(/.*Host.*\n/, ""),
    finds: [/^\/ws\/dashboard: refused \(403\).*"proxy_set_header Host \$http_host;"/],
  },
  "a cache for everything": {
    directives: `${CACHING} proxy_cache kept; proxy_cache_valid 200 10m; proxy_ignore_headers Cache-Control Vary;`,
    finds: [
      /^\/stream\/history: \/stream\/history is cached, and given to who sends no token/,
      / \(cache\): /,
    ],
  },
  "a cache that says so": {
    directives: `${CACHING} proxy_cache kept; proxy_cache_key $uri$http_authorization; proxy_cache_valid 200 10m;
      proxy_ignore_headers Cache-Control; add_header X-Cache-Status $upstream_cache_status;`,
    finds: [/^\/stream\/history: .* cached \(x-cache-status: HIT\)/, / \(cache\): /],
  },
  "a token that is dropped": {
    directives: `${GOOD} proxy_set_header Authorization "";`,
    finds: [/^\/stream\/updates: answers 401 although a token was sent.*Authorization/],
  },
  "a Last-Event-ID that is dropped": {
    directives: `${GOOD} proxy_set_header Last-Event-ID "";`,
    finds: [/^\/stream\/updates \(resume\): .*Last-Event-ID/],
  },
  "a cookie that is dropped": {
    directives: `${GOOD} proxy_set_header Cookie "";`,
    finds: [/^ \(cookies\): the reconnect with the cookie answers 401.*"proxy_set_header Cookie"/],
  },
  "a cookie that is held back": {
    directives: `${GOOD} proxy_hide_header Set-Cookie;`,
    finds: [/^ \(cookies\): .* without a cookie, .*"proxy_hide_header Set-Cookie;"/],
  },
  "every page let in": {
    directives: `${GOOD} add_header Access-Control-Allow-Origin * always;`,
    finds: [/^ \(CORS\): access-control-allow-origin: \* to a page of .*CORS_ORIGINS/],
  },
  "CORS said twice": {
    directives: `${GOOD} add_header Access-Control-Allow-Origin $cors;`,
    http: `map $http_origin $cors { ${ORIGIN} ${ORIGIN}; default ""; }`,
    finds: [/^ \(CORS\): .*"https:\/\/app\.example, https:\/\/app\.example".*expected it once/],
  },
  "a redirect": {
    beside: "location = /healthz { return 301 https://elsewhere.example/healthz; }",
    finds: [/^\/healthz: redirects \(301 to https:\/\/elsewhere\.example\/healthz\)/],
  },
  "a redirect of the stream": {
    beside: "location = /stream/updates { return 302 /other; }",
    finds: [/^\/stream\/updates: redirects \(302 to .*\/other\)/],
  },
  "another page in place of the stream": {
    beside: "location = /stream/updates { default_type text/html; return 200 '<p>'; }",
    finds: [/^\/stream\/updates: answers 200 \(text\/html\)/],
  },
  "no server behind it": {
    upstream: () => "http://127.0.0.1:1",
    finds: [/^\/healthz: answers 502/, /^\/ready: answers 502/],
  },
};

describe("millrace doctor URL", { timeout: 60_000 }, () => {
  it("finds nothing wrong without a proxy", async (context) => {
    if (noNginx) context.skip(noNginx);
    const findings = await look(server.url);
    expect(lines(server.url, failed(findings))).toEqual([]);
    expect(findings.length).toBeGreaterThan(7);
  });

  for (const version of ["1.1", "1.0"]) {
    it(`finds nothing wrong behind the least of a good configuration, with HTTP/${version} to the server`, async (context) => {
      if (noNginx) context.skip(noNginx);
      await using proxy = await plant({ directives: GOOD.replace("1.1", version) });
      expect(lines(proxy.url, failed(await look(proxy.url)))).toEqual([]);
    });
  }

  for (const [fault, { finds, isTimed = false, ...planted }] of Object.entries(FAULTS)) {
    // Each has an nginx of its own, and mostly waits for heartbeats.
    const run = isTimed ? it : it.concurrent;
    // A proxy that waits for less than a heartbeat cuts whatever a busy machine is slow at, too: then it is asked again.
    run(`names ${fault}, and blames nothing else`, { retry: isTimed ? 3 : 0 }, async (context) => {
      if (noNginx) context.skip(noNginx);
      await using proxy = await plant(planted);
      const startMs = performance.now();
      const found = lines(proxy.url, failed(await look(proxy.url)));
      expect(performance.now() - startMs).toBeLessThan(urlLimitMs(HEARTBEAT_MS));
      expect(found).toEqual(finds.map((each) => expect.stringMatching(each)));
      for (const line of found) expect(line).toMatch(/\. Next: \S/);
    });
  }

  it("names compression that is not flushed, and what is held behind the first frame", async () => {
    await using squeezing = await startHolding("gzip");
    const squeezed = lines(squeezing.url, failed(await look(squeezing.url)));
    expect(squeezed).toEqual([
      expect.stringMatching(/^\/stream\/updates \(compression\): compression without flush.*gzip_types/),
    ]);
    await using holding = await startHolding("identity");
    const held = lines(holding.url, failed(await look(holding.url)));
    expect(held).toEqual([
      expect.stringMatching(
        /^\/stream\/updates: no heartbeat: nothing came for .*"proxy_buffering off;".*--heartbeat-ms/,
      ),
    ]);
  });

  it("says what cannot be seen without a token, and fails nothing for it", async () => {
    const target = { url: server.url, company: "acme", heartbeatMs: HEARTBEAT_MS, origins: [] };
    const findings = await examineUrl({ ...target, token: undefined });
    expect(findings.map(({ level }) => level)).toEqual(["ok", "ok", "note"]);
    expect(findings[2]!.text).toMatch(/wants a token \(--token/);
  });

  it("finds nothing wrong behind the shipped configuration, over TLS, and says what is wrong with a certificate", async (context) => {
    if (noNginx) context.skip(noNginx);
    const authority = createAuthority();
    await using nginx = await startShippedNginx({
      upstreams: [server.url],
      certificate: authority.issue("localhost"),
    });
    const ca = join(nginx.folder, "ca.pem");
    writeFileSync(ca, authority.cert);
    const env = { DATA_DIR: folder.path, HEARTBEAT_MS: String(HEARTBEAT_MS), CORS_ORIGINS: ORIGIN };
    const { code, stdout } = await cli(["doctor", nginx.httpsUrl, "--token", token], {
      ...env,
      NODE_EXTRA_CA_CERTS: ca,
    });
    expect(stdout).not.toMatch(/^FAIL/m);
    expect(stdout).toMatch(/^ok {4}\S+\/stream\/updates: heartbeat after 0\.\d s of silence$/m);
    expect(stdout).toMatch(/\(TLS\): HTTP\/2$/m);
    expect(stdout).not.toContain(token);
    expect(code).toBe(0);

    const untrusted = await cli(["doctor", nginx.httpsUrl], env);
    expect(untrusted.code).toBe(1);
    expect(untrusted.stdout).toMatch(
      /^FAIL {2}\S+\/healthz, \S+\/ready: TLS: .*Next: put the intermediate certificates/m,
    );
    const trusting = { ...env, NODE_EXTRA_CA_CERTS: ca };
    const plain = await cli(["doctor", server.url.replace("http:", "https:")], trusting);
    expect(plain.stdout).toMatch(/^FAIL .* TLS: .*Next: ask by http:\/\//m);
    const redirected = await cli(["doctor", `http://localhost:${nginx.httpPort}`], trusting);
    expect(redirected.stdout).toMatch(/^FAIL .*redirects \(308 to https:\/\/localhost\/healthz\)/m);
  });

  it("says that a browser without HTTP/2 has six streams", async (context) => {
    if (noNginx) context.skip(noNginx);
    const authority = createAuthority();
    await using nginx = await startShippedNginx({
      upstreams: [server.url],
      certificate: authority.issue("localhost"),
      change: (text) => text.replace("ssl http2;", "ssl;"),
    });
    const ca = join(nginx.folder, "ca.pem");
    writeFileSync(ca, authority.cert);
    const env = { DATA_DIR: folder.path, HEARTBEAT_MS: String(HEARTBEAT_MS), NODE_EXTRA_CA_CERTS: ca };
    const { code, stdout } = await cli(["doctor", nginx.httpsUrl, "--token", token], env);
    expect(stdout).toMatch(/^note .*HTTP\/1\.1 alone: .*listen 443 ssl http2;/m);
    expect(code).toBe(0);
  });

  it.each([["0"], ["soon"], ["15s"]])("refuses --heartbeat-ms %s with 2", async (value) => {
    expect(await cli(["doctor", "http://127.0.0.1:1", "--heartbeat-ms", value])).toMatchObject({ code: 2 });
  });
});

/**
 * A proxy that hands on everything but the stream, of which it holds something back: by compressing it without a flush where the client
 * takes gzip, or all that comes behind the first frames.
 */
async function startHolding(what: "gzip" | "identity") {
  const upstream = new URL(uncoded.url);
  const proxy = createServer((request, response) => {
    const { url, method, headers } = request;
    const out = httpRequest(
      { host: upstream.hostname, port: upstream.port, path: url, method, headers },
      (answer) => {
        response.on("close", () => answer.destroy());
        const isStream = url?.startsWith("/stream/updates") ?? false;
        if (isStream && what === "gzip" && /gzip/.test(String(headers["accept-encoding"]))) {
          response.writeHead(200, { ...answer.headers, "content-encoding": "gzip" });
          response.flushHeaders();
          return void answer.pipe(createGzip()).pipe(response);
        }
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        if (!isStream || what !== "identity") return void answer.pipe(response);
        let text = "";
        answer.on("data", (chunk: Buffer) => {
          if (text.includes(":heartbeat") || chunk.includes(":heartbeat")) return;
          text += chunk;
          response.write(chunk);
        });
        answer.on("end", () => response.end());
      },
    );
    out.on("error", () => response.destroy());
    request.pipe(out);
  });
  proxy.on("upgrade", (request, socket, head) => {
    const out = connect(Number(upstream.port), upstream.hostname, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      }
      out.write(`${lines.join("\r\n")}\r\n\r\n`);
      out.write(head);
      out.pipe(socket).pipe(out);
    });
    out.on("error", () => socket.destroy());
    socket.on("error", () => out.destroy());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, "close");
    },
  };
}
