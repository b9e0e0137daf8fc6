/** The error of a server that cannot listen: what an operator can act on. */
import { describeError, MillraceError } from "../core/errors.ts";

/** @param setting The one that names the port. */
export function cannotListen(host: string, port: number, setting: string, cause: unknown): MillraceError {
  return new MillraceError(
    "unavailable",
    `Cannot listen on "${host}:${port}": ${describeError(cause)}, expected a free port; set ${setting} to another one, or to 0 for any`,
    { cause },
  );
}
