/** Errors of MongoDB's driver, told by their names and codes: who has sockets brings the driver itself. */
import { MillraceError } from "./errors.ts";
import { maskUrls } from "./mask-urls.ts";

/** Unauthorized, AuthenticationFailed, MechanismUnavailable (error_codes.yml of the server), and Atlas's own. */
const REFUSED: readonly unknown[] = [13, 18, 334, 8000];
const DUPLICATE_KEY = 11_000;

interface DriverError extends Error {
  readonly code?: unknown;
  readonly writeErrors?: unknown;
  readonly result?: { readonly insertedCount?: number; getWriteConcernError?(): unknown };
}

const isDriverError = (error: unknown): error is DriverError =>
  error instanceof Error && error.name.startsWith("Mongo");

/** Of mongodb+srv:// the driver asks the name server itself, and passes its error on. */
const isResolverError = (error: unknown): error is DriverError =>
  error instanceof Error && "syscall" in error && "code" in error;

/** Whether it failed for nothing but documents that are there. */
export function isDuplicate(error: unknown): error is DriverError {
  if (!isDriverError(error) || error.code !== DUPLICATE_KEY) return false;
  const failures = [error.writeErrors ?? []].flat() as { readonly code?: unknown }[];
  return failures.every(({ code }) => code === DUPLICATE_KEY) && !error.result?.getWriteConcernError?.();
}

/**
 * What to throw for what was thrown: an error of the driver as `unavailable`, also where the server refuses the user, which passes when an operator
 * mends it; anything else as it is. No URI is in the message.
 * @param what Such as `write readings to MongoDB "message_streaming.metrics"`.
 */
export function mongoError(what: string, error: unknown): unknown {
  if (!isDriverError(error) && !isResolverError(error)) return error;
  const refusal = causesOf(error).find(({ code }) => REFUSED.includes(code));
  const expected =
    refusal === undefined
      ? "a MongoDB that answers"
      : "the user of MONGODB_URI to be let in (password; authSource, the database that keeps the user) and to have the role readWrite on MONGODB_DATABASE";
  const reason = `Cannot ${what}: ${reasonOf(refusal ?? error)}, expected ${expected}`;
  return new MillraceError("unavailable", reason, { cause: error });
}

const reasonOf = ({ message }: Error) => maskUrls(message).replace(/\s+/g, " ").replace(/\.$/, "");

/** The error and what lies under it: where one connection is refused, another's call is told of the pool. */
function causesOf(error: DriverError): DriverError[] {
  const { cause } = error;
  return isDriverError(cause) ? [error, ...causesOf(cause)] : [error];
}
