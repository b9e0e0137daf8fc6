/** A real nginx with a configuration of its own, as an ordinary process: no daemon, one worker, everything it writes in a folder of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestCertificate } from "../support/certificates.ts";
import { freePort, start } from "../support/process.ts";
import { accepts } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const SHIPPED = fileURLToPath(new URL("../../infra/nginx/millrace.conf", import.meta.url));

export interface Nginx extends AsyncDisposable {
  readonly folder: string;
  output(): string;
  /** What it has logged of the requests so far. */
  accessLog(): string;
}

export interface NginxOptions {
  /** The inside of `http { }`, given the folder for its files. */
  readonly http: (folder: string) => string;
  /** Further files of the folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** It is ready when these accept connections. */
  readonly ports: readonly number[];
}

export async function startNginx({ http, files = {}, ports }: NginxOptions): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-nginx-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  const conf = join(folder, "nginx.conf");
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  writeFileSync(
    conf,
    `${process.getuid?.() === 0 ? "user root root;" : ""}
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 2048; }
http {
access_log off; ${paths}
${http(folder)}
}
`,
  );
  const nginx = start("nginx", ["-e", "stderr", "-p", folder, "-c", conf]);
  const stop = async () => {
    // Not SIGKILL: the worker would outlive its master. SIGTERM ends open streams at once.
    await nginx.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const isUp = await waitFor("nginx", async () => {
      if (nginx.child.exitCode !== null) return "gone";
      return (await Promise.all(ports.map(accepts))).every(Boolean);
    });
    if (isUp === "gone") throw new Error(nginx.output());
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    folder,
    output: nginx.output,
    accessLog: () => readFileSync(join(folder, "access.log"), "utf8"),
    [Symbol.asyncDispose]: stop,
  };
}

export interface ShippedNginx extends Nginx {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly httpsUrl: string;
}

/**
 * The shipped configuration with its EDIT lines changed as its reader would, and with a plain HTTP server beside it when `plainPort` is
 * given: the same but for TLS. `change` changes the text further.
 */
export async function startShippedNginx(options: {
  /** Origins of the instances. */
  readonly upstreams: readonly string[];
  readonly certificate: TestCertificate;
  readonly plainPort?: number;
  readonly change?: (text: string) => string;
}): Promise<ShippedNginx> {
  const { upstreams, certificate, plainPort, change = (text) => text } = options;
  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const servers = upstreams.map((url) => `server ${new URL(url).host} max_fails=1 fail_timeout=5s;`);
  const plain = plainPort === undefined ? "" : `listen 127.0.0.1:${plainPort};`;
  const http = (folder: string) => {
    let text = readFileSync(SHIPPED, "utf8");
    const edit = (from: string, to: string) => {
      if (!text.includes(from)) throw new Error(`infra/nginx/millrace.conf has no "${from}"`);
      text = text.replaceAll(from, to);
    };
    edit("server 127.0.0.1:8787 max_fails=1 fail_timeout=5s;", servers.join("\n"));
    edit("server 127.0.0.1:8789 max_fails=1 fail_timeout=5s;", "");
    edit("listen 80;", `listen 127.0.0.1:${httpPort};`);
    edit("listen 443 ssl http2;", `listen 127.0.0.1:${httpsPort} ssl http2; ${plain}`);
    edit("events.example.com;", "localhost 127.0.0.1;");
    edit("/etc/ssl/events.example.com.pem", join(folder, "cert.pem"));
    edit("/etc/ssl/events.example.com.key", join(folder, "key.pem"));
    edit("/var/cache/nginx/millrace", join(folder, "cache"));
    edit("/var/log/nginx/millrace.log", join(folder, "access.log"));
    edit("/var/log/nginx/millrace-error.log crit", "stderr warn");
    return change(text);
  };
  const files = { "cert.pem": certificate.cert, "key.pem": certificate.key };
  const ports = [httpPort, httpsPort, ...(plainPort === undefined ? [] : [plainPort])];
  const nginx = await startNginx({ http, files, ports });
  return { ...nginx, httpPort, httpsPort, httpsUrl: `https://localhost:${httpsPort}` };
}
