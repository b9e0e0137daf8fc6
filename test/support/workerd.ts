/**
 * Millrace on workerd, as a real process: the bundle that `wrangler deploy` would upload, with the bindings, flags and date of wrangler.toml.
 * Nothing of wrangler runs in between, so that the process can be killed, measured and started again on the same port.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort, type RunningProcess, start } from "./process.ts";
import { accepts } from "./servers.ts";
import { waitFor } from "./wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Keeps wrangler from everything but the work: no statistics, no banner, no look at Cloudflare for `request.cf`. */
export const OFFLINE = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_WRITE_LOGS: "false",
};

/** Runs wrangler in the root of the project; resolves with what it printed. Rejects with that when it fails. */
export async function wrangler(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(join(ROOT, "node_modules/.bin/wrangler"), args, {
    cwd: ROOT,
    env: { ...process.env, ...OFFLINE },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout + stderr;
}

/** Bundles once a process and entry: a second or two. Resolves with the text of the one module it comes to. */
function bundle(entry: string, flags: readonly string[]): Promise<string> {
  const made = bundles.get(entry) ?? makeBundle(entry, flags);
  bundles.set(entry, made);
  return made;
}
async function makeBundle(entry: string, flags: readonly string[]): Promise<string> {
  const out = mkdtempSync(join(tmpdir(), "millrace-bundle-"));
  try {
    const options = ["--config", join(ROOT, "wrangler.toml"), "--compatibility-flags", ...flags];
    await wrangler("deploy", entry, ...options, "--dry-run", "--outdir", out);
    const name = readdirSync(out).find((file) => file.endsWith(".js")) ?? "";
    return readFileSync(join(out, name), "utf8");
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
const bundles = new Map<string, Promise<string>>();

/** What is needed of it: its own types lean on packages that are not installed. */
interface WranglerConfig {
  readonly main?: string;
  readonly compatibility_date?: string;
  readonly compatibility_flags: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly durable_objects: {
    readonly bindings: readonly { readonly name: string; readonly class_name: string }[];
  };
}

export interface WorkerdOptions {
  /** Vars and secrets, in place of those in wrangler.toml. */
  readonly vars: Readonly<Record<string, string>>;
  /** The module to run, from the root of the project. Default: `main` of wrangler.toml. */
  readonly entry?: string;
  /** Compatibility flags besides those of wrangler.toml. */
  readonly flags?: readonly string[];
}

export interface Workerd extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  process(): RunningProcess;
  /** Everything printed since the last start, both channels: the Worker's log too. */
  output(): string;
  /** kill -9: with it all Durable Objects are gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port, and the same storage of Durable Objects. */
  restart(): Promise<void>;
}

/** Resolves when it accepts connections. */
export async function startWorkerd({ vars, entry, flags: more = [] }: WorkerdOptions): Promise<Workerd> {
  // Loaded here, as it takes half a second.
  const { unstable_readConfig } = await import("wrangler");
  const config = unstable_readConfig({ config: join(ROOT, "wrangler.toml") }) as WranglerConfig;
  const main = entry ?? config.main ?? "";
  const flags = [...config.compatibility_flags, ...more];
  const [port, module] = [await freePort(), await bundle(main, flags)];
  const folder = mkdtempSync(join(tmpdir(), "millrace-workerd-"));
  const storage = join(folder, "storage");
  mkdirSync(storage);
  writeFileSync(join(folder, "main.js"), module);
  const hubs = config.durable_objects.bindings;
  const file = join(folder, "config.capnp");
  writeFileSync(
    file,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private", "local"])),
    (name = "storage", disk = (path = ${text(storage)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "main", esModule = embed "main.js")],
  compatibilityDate = ${text(config.compatibility_date ?? "")},
  compatibilityFlags = [${flags.map(text).join(", ")}],
  bindings = [
    ${Object.entries({ ...config.vars, ...vars })
      .map(([name, value]) => `(name = ${text(name)}, text = ${text(String(value))}),`)
      .join("\n    ")}
    ${hubs.map(({ name, class_name }) => `(name = ${text(name)}, durableObjectNamespace = ${text(class_name)}),`).join("\n    ")}
  ],
  durableObjectNamespaces = [
    ${hubs.map(({ class_name }) => `(className = ${text(class_name)}, uniqueKey = ${text(class_name)}, enableSql = true),`).join("\n    ")}
  ],
  durableObjectStorage = (localDisk = "storage"),
);
`,
  );

  let current: RunningProcess;
  const dispose = async () => {
    await current.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  const up = async () => {
    current = start(program(), ["serve", file]);
    const hasEnded = () => current.child.exitCode !== null || current.child.signalCode !== null;
    const isUp = await waitFor(`workerd on port ${port}`, () => hasEnded() || accepts(port)).catch(
      () => false,
    );
    if (isUp && !hasEnded()) return;
    await dispose();
    throw new Error(`Cannot start workerd: ${current.output()}`);
  };
  await up();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    process: () => current,
    output: () => current.output(),
    kill: () => current.stop("SIGKILL"),
    async restart() {
      await current.stop("SIGKILL");
      await up();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** The program itself, past the script in front of it: a signal to that would not reach it. */
function program(): string {
  const require = createRequire(createRequire(import.meta.url).resolve("wrangler"));
  return (require("workerd") as { default: string }).default;
}

/** A text in Cap'n Proto's own language: as in C. */
function text(value: string): string {
  return JSON.stringify(value);
}
