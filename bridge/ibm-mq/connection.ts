/** How to reach a queue manager: what bridge.yaml and the MQ_* settings say, and what the process that connects is told. */
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { describeError, MillraceError } from "../../functions/core/errors.ts";

export interface MqOptions {
  /** Unset: the channel is found in {@link ccdt}. */
  readonly host: string | undefined;
  readonly port: number;
  readonly queueManager: string;
  /** A server-connection channel. */
  readonly channel: string;
  /** Sent along with a password; without one the channel and its certificate decide who this is. */
  readonly user: string;
  readonly password: string | undefined;
  /** Read at each connection, so that a password can change; wins over {@link password}. */
  readonly passwordFile: string | undefined;
  /** Client channel definition table, a path or a URL: instead of host, port and channel. */
  readonly ccdt: string | undefined;
  readonly tlsCipher: string | undefined;
  readonly tlsKeyRepository: string | undefined;
  readonly tlsKeyPassword: string | undefined;
}

/** {@link MqOptions}, ready to connect. Holds the password. */
export interface MqConnection extends Omit<MqOptions, "password" | "passwordFile"> {
  readonly password: string | undefined;
  /** Shown to the queue manager's operator, who sees the first 28 characters. */
  readonly application: string;
}

/** @throws MillraceError `invalid-settings` for a host with a colon, or a password file that cannot be read. */
export async function prepareConnection(options: MqOptions, application: string): Promise<MqConnection> {
  const { host, port, queueManager, channel, user, password, passwordFile, ccdt } = options;
  const { tlsCipher, tlsKeyRepository, tlsKeyPassword } = options;
  if (ccdt === undefined && host?.includes(":")) {
    // The client library would take what is behind it for a port.
    const message = `Cannot connect to IBM MQ at "${host}": a colon in the host, expected a name or an IPv4 address in MQ_HOST and the port in MQ_PORT`;
    throw new MillraceError("invalid-settings", message);
  }
  return {
    ...{ host, port, queueManager, channel, user, tlsCipher, tlsKeyRepository, tlsKeyPassword, application },
    ccdt: ccdt === undefined || /^[a-z]+:\/\//i.test(ccdt) ? ccdt : pathToFileURL(ccdt).href,
    password: passwordFile === undefined ? password : await readPassword(passwordFile),
  };
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trimEnd();
  } catch (cause) {
    const message = `Cannot read the password file "${file}": ${describeError(cause)}, expected a file with the password alone`;
    throw new MillraceError("invalid-settings", message, { cause });
  }
}

/** `host(port)` as IBM MQ writes it, or the definition table: for messages. */
export function describeAddress({ host, port, ccdt }: Pick<MqOptions, "host" | "port" | "ccdt">): string {
  return ccdt ?? `${host}(${port})`;
}
