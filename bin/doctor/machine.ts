/** This machine and this process: the runtime, the ports, the files that may be open. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Settings } from "../../functions/core/settings.ts";
import { authority } from "../../functions/runtimes/node/host.ts";
import { number } from "./amounts.ts";
import type { Outcome, Probe } from "./examine.ts";

/** The first version that runs TypeScript without a flag, which npm start brings where it is missing. */
const LEAST_NODE = [22, 18] as const;
/** Files beside clients: logs, the store, brokers, modules. */
const OTHER_FILES = 100;

type PortName = "PORT" | "TCP_PORT" | "HTTP_PORT";
export type MachineSettings = Pick<
  Settings,
  PortName | "HOST" | "MAX_CONNECTIONS_PER_COMPANY" | "TODAY_TIMEZONE"
>;

export function machineProbes(settings: MachineSettings): Probe[] {
  return [
    {
      what: "Node.js",
      next: "install a supported Node.js",
      run: () => node(process.versions.node, settings.TODAY_TIMEZONE),
    },
    {
      what: "open files",
      next: "raise ulimit -n",
      run: () => openFiles(fileLimit(), settings.MAX_CONNECTIONS_PER_COMPANY),
    },
    { what: "ports", next: "set PORT, TCP_PORT or HTTP_PORT", run: (signal) => ports(settings, signal) },
  ];
}

export function node(version: string, timeZone: string): Outcome {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    return {
      fault: `${version}, expected ${LEAST_NODE.join(".")} or newer`,
      next: "run by npm start and npx millrace, which bring their own, or install a newer one",
    };
  }
  const time = new Intl.DateTimeFormat("en-GB", { timeZone, timeStyle: "short" }).format(new Date());
  return `${version}; days begin at 00:00 of ${timeZone} (now ${time})`;
}

/** Undefined: this system does not say. */
function fileLimit(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return undefined;
  }
}

/** @param limit Files a process may have open at once; a client's connection is one. */
export function openFiles(limit: number | undefined, maxConnections: number): Outcome {
  if (limit === undefined || Number.isNaN(limit)) return "no limit is known here";
  if (limit >= maxConnections + OTHER_FILES) return `${number(limit)} at most`;
  return {
    note: `at most ${number(limit)} at once, and MAX_CONNECTIONS_PER_COMPANY lets in ${number(maxConnections)} clients of one company: raise it (ulimit -n, LimitNOFILE= of systemd) to what all companies together may have, or lower the setting`,
  };
}

async function ports(settings: MachineSettings, signal: AbortSignal): Promise<Outcome> {
  const { HOST: host } = settings;
  const names: readonly PortName[] = ["PORT", "TCP_PORT", "HTTP_PORT"];
  const wanted = names.filter((name) => settings[name] !== 0);
  const found = await Promise.all(
    wanted.map(async (name) => ({ name, port: settings[name], code: await tryPort(host, settings[name]) })),
  );
  const list = (some: typeof found) => some.map(({ name, port }) => `${name} ${port}`).join(", ");
  const refused = found.find(({ code }) => code !== undefined && code !== "EADDRINUSE");
  if (refused !== undefined) {
    return {
      fault: `${list([refused])} of ${host} cannot be listened on (${refused.code})`,
      next:
        refused.code === "EACCES"
          ? "take a port above 1023, or give the right (CAP_NET_BIND_SERVICE)"
          : "set HOST to an address of this machine, or 0.0.0.0",
    };
  }
  const taken = found.filter(({ code }) => code === "EADDRINUSE");
  if (taken.length === 0) return `${list(found) || "any"} of ${host}: free`;
  const own = taken.find(({ name }) => name === "PORT");
  if (own !== undefined && (await isMillrace(host, own.port, signal)))
    return `Millrace runs on ${authority(host, own.port)}`;
  return {
    note: `${list(taken)} of ${host}: taken by another program; npm start needs all of them: set ${taken.map(({ name }) => name).join(", ")}, or 0 for any`,
  };
}

/** Undefined: it is free. */
function tryPort(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

async function isMillrace(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`http://${authority(host, port)}/healthz`, { signal });
    return ((await response.json()) as { status?: unknown }).status === "ok";
  } catch {
    return false;
  }
}
