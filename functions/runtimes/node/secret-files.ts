/**
 * Secrets in files, as containers are given them: where NAME_FILE is set, it names a file that holds the value of NAME, so that no secret is
 * in an environment, which is shown to whoever may inspect the container. Deno and Bun read them too, as far as they may.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { type Environment, readSettings, type Settings } from "../../core/settings.ts";

/** The settings that are secrets, or URLs that carry one. */
export const SECRET_SETTINGS = [
  ...["REDIS_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_REDIS_REST_READONLY_TOKEN", "NATS_URL", "AMQP_URL"],
  ...["MQ_PASSWORD", "MQ_TLS_KEY_PASSWORD", "MONGODB_URI", "AUTH_TOKEN", "JWT_SECRET"],
] as (keyof Settings)[];

/** Bytes of a file: a secret is a line. A mistaken path must not take the memory. */
const MAX_BYTES = 16 * 1024;

/**
 * The settings of an environment, secrets by file among them.
 * @throws MillraceError `invalid-settings` naming every setting and every file that is wrong, and neither a value nor a path: somebody may
 *   have put the secret where the path belongs.
 */
export function readSettingsAndFiles(env: Environment): Settings {
  const problems: string[] = [];
  const values: Record<string, string> = {};
  for (const name of SECRET_SETTINGS) {
    const path = env[`${name}_FILE`];
    if (path === undefined || path === "") continue;
    if ((env[name] ?? "") !== "") {
      problems.push(`${name}, ${name}_FILE: expected one of them, not both`);
      continue;
    }
    const { secret, problem } = readSecret(path);
    if (secret === undefined) problems.push(`${name}_FILE: ${problem}`);
    else values[name] = secret;
  }
  return readSettings({ ...env, ...values }, problems);
}

/** The text of a file without its last line break, or what is wrong with it. */
function readSecret(path: string): { readonly secret?: string; readonly problem?: string } {
  let bytes: Uint8Array;
  try {
    bytes = readStart(path, MAX_BYTES + 1);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { problem: `cannot be read (${code ?? "error"}), expected the path of a readable file` };
  }
  if (bytes.length > MAX_BYTES) {
    return { problem: `more than ${MAX_BYTES / 1024} KiB, expected a file with the secret alone` };
  }
  try {
    const secret = new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
    return secret === "" ? { problem: "is empty, expected a file with the secret" } : { secret };
  } catch {
    return { problem: "is not UTF-8, expected a file with the secret alone" };
  }
}

/** The first bytes of a file. */
function readStart(path: string, maxBytes: number): Uint8Array {
  const bytes = Buffer.alloc(maxBytes);
  const file = openSync(path, "r");
  try {
    let size = 0;
    // Of a pipe, a read is what is there.
    for (let read = -1; read !== 0 && size < maxBytes; size += read) {
      read = readSync(file, bytes, size, maxBytes - size, null);
    }
    return bytes.subarray(0, size);
  } finally {
    closeSync(file);
  }
}
