/** How a service of the operator is called in its status, its log lines and the filters on them. */

/** A service that does not say its name. */
export const UNKNOWN_SERVICE = "unknown";
const MAX_NAME_CHARS = 64;

/** 1-64 characters of `A-Z a-z 0-9 . _ -`; what else is in a name becomes `-`. Undefined where the value is no name. */
export function toServiceName(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  if (SERVICE_NAME.test(value)) return value;
  // Far longer than a name: not worth going through.
  const text = value.slice(0, 4 * MAX_NAME_CHARS).trim();
  return text.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, MAX_NAME_CHARS) || undefined;
}
const SERVICE_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** The service a channel such as `logs:<service>` is of; undefined for `logs:all`. */
export function serviceOfChannel(channel: string): string | undefined {
  const name = channel.slice(channel.indexOf(":") + 1);
  return name === "all" ? undefined : toServiceName(name);
}
