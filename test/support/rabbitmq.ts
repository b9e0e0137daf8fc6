/**
 * A real RabbitMQ of a test: a node of its own name on a free port, with its own epmd, data and logs, on two scheduler threads and little
 * memory. It takes some seconds to start, so a test file shares one; a test has a virtual host or a queue of its own.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ConfirmChannel, connect, type Options } from "amqplib";
import { freePort, type RunningProcess, start } from "./process.ts";
import { accepts, type TestServer } from "./servers.ts";
import { waitFor } from "./wait.ts";

/** Milliseconds it may take to start: Erlang and its applications, on two cores that others use too. */
const START_MS = 60_000;
/** Debian's commands change to the user rabbitmq and its folders; what is behind them does not. */
const DEBIAN = "/usr/lib/rabbitmq/bin";

export interface RabbitMq extends TestServer {
  /** As guest, who may do everything, or as another user, on the virtual host `/` or another one. */
  urlOf(at?: { user?: string; password?: string; vhost?: string }): string;
  /** Runs rabbitmqctl (a second or two) and resolves with what it printed. */
  ctl(...args: string[]): Promise<string>;
  /** The program, and what it needs in its environment to find this node. */
  readonly ctlCommand: string;
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Resolves when a kill cannot lose the queue. RabbitMQ 3.10 writes the name of a new quorum queue to the disk within a second and has
   * answered before: killed between, it never gives the queue a leader again, and a consumer of it no answer.
   */
  keeps(quorumQueue: string, vhost?: string): Promise<void>;
  /** A virtual host guest may use. Resolves with its URL. */
  addVhost(name: string): Promise<string>;
  /** Permissions are patterns of names; none by default. */
  addUser(
    name: string,
    at: { password: string; vhost?: string; configure?: string; write?: string; read?: string },
  ): Promise<string>;
}

/** @param options.config Lines for rabbitmq.conf. */
export async function startRabbitMq({
  config = [],
  plugins = [],
}: {
  readonly config?: readonly string[];
  readonly plugins?: readonly string[];
} = {}): Promise<RabbitMq> {
  const [port, distPort, epmdPort] = [await freePort(), await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), "millrace-rabbitmq-"));
  const data = join(folder, "data");
  const node = `millrace-${port}@localhost`;
  const environment = {
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: node,
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_MNESIA_BASE: data,
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_LOGS: "-",
    // Two threads, and none that waits by spinning.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
    // The script then becomes the server, so that a kill hits it.
    RUNNING_UNDER_SYSTEMD: "true",
  };
  writeFileSync(join(folder, "enabled_plugins"), `[${plugins.join()}].\n`);
  writeFileSync(
    join(folder, "rabbitmq.conf"),
    [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      "vm_memory_high_watermark.absolute = 1GB",
      "disk_free_limit.absolute = 50MB",
      "raft.wal_max_size_bytes = 16777216",
      "log.console.level = warning",
      ...config,
      "",
    ].join("\n"),
  );
  // In the foreground: the one a node starts by itself would outlive it.
  const epmd = start("epmd", ["-port", String(epmdPort), "-address", "127.0.0.1"]);
  await waitFor("epmd", () => accepts(epmdPort));

  const urlOf: RabbitMq["urlOf"] = ({ user = "guest", password = "guest", vhost = "/" } = {}) =>
    `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(vhost)}`;
  let current: RunningProcess;
  const up = async () => {
    mkdirSync(data, { recursive: true });
    current = start(program("rabbitmq-server"), [], { env: environment, cwd: folder });
    const isUp = async () => {
      if (current.child.exitCode !== null) throw new Error(current.output());
      return answers(urlOf());
    };
    await waitFor(`rabbitmq-server on port ${port}`, isUp, { timeoutMs: START_MS, everyMs: 50 });
  };
  await up();

  const ctl = async (...args: string[]) => {
    const run = promisify(execFile);
    const { stdout } = await run(program("rabbitmqctl"), ["-q", "-n", node, ...args], {
      env: { ...process.env, ...environment },
      cwd: folder,
    });
    return stdout;
  };
  return {
    port,
    url: urlOf(),
    urlOf,
    ctl,
    ctlCommand: program("rabbitmqctl"),
    environment,
    folder: data,
    process: () => current,
    async keeps(quorumQueue, vhost = "/") {
      const file = join(data, node, "quorum", node, "names.dets");
      const name = `${encodeURIComponent(vhost)}_${quorumQueue}`;
      // With its length before it, as Erlang has it: another name may begin with this one.
      const atom = Buffer.from([name.length, ...Buffer.from(name)]);
      await waitFor(`queue ${quorumQueue} on the disk`, () => readFileSync(file).includes(atom));
    },
    async addVhost(name) {
      await ctl("add_vhost", name);
      await ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*");
      return urlOf({ vhost: name });
    },
    async addUser(name, { password, vhost = "/", configure = "^$", write = "^$", read = "^$" }) {
      await ctl("add_user", name, password);
      await ctl("set_permissions", "-p", vhost, name, configure, write, read);
      return urlOf({ user: name, password, vhost });
    },
    kill: () => current.stop("SIGKILL"),
    async restart({ wipe = false } = {}) {
      await current.stop("SIGKILL");
      if (wipe) rmSync(data, { recursive: true });
      await up();
    },
    async [Symbol.asyncDispose]() {
      await current.stop("SIGKILL");
      await epmd.stop("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether a broker opens a connection: it listens a moment before it does. */
async function answers(url: string): Promise<boolean> {
  try {
    const connection = await connect(url);
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

/** A channel with publisher confirms, on a connection that lasts as long as `use`. */
export async function withChannel<T>(url: string, use: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(url);
  // A broker that is killed meanwhile: the caller's promise says so.
  connection.on("error", () => {});
  const closed = new Promise<void>((resolve) => connection.on("close", () => resolve()));
  try {
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => {});
    const result = await use(channel);
    // First, or its last acks are overtaken by the end of the connection and lost.
    await Promise.race([channel.close().catch(() => {}), closed]);
    return result;
  } finally {
    await Promise.race([connection.close().catch(() => {}), closed]);
  }
}

export interface TestMessage {
  readonly routingKey: string;
  readonly body: string | Uint8Array;
  readonly options?: Options.Publish;
}

/** Publishes persistent messages in this order; resolves when the broker has confirmed them all. Rejects when it refuses one. */
export async function publishConfirmed(
  url: string,
  exchange: string,
  messages: readonly TestMessage[],
): Promise<void> {
  await withChannel(url, async (channel) => {
    for (const { routingKey, body, options } of messages) {
      channel.publish(exchange, routingKey, Buffer.from(body), { persistent: true, ...options });
    }
    await channel.waitForConfirms();
  });
}

/** Messages that are with no consumer, and consumers. @throws when there is no such queue. */
export async function queueDepth(url: string, queue: string): Promise<{ ready: number; consumers: number }> {
  const { messageCount, consumerCount } = await withChannel(url, (channel) => channel.checkQueue(queue));
  return { ready: messageCount, consumers: consumerCount };
}

function program(name: string): string {
  const path = join(DEBIAN, name);
  return existsSync(path) ? path : name;
}
