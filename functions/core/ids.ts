/**
 * The identifiers of Millrace as branded strings: parsed once at the edge, trusted after. An `EventType` cannot
 * hold a line break and a `CompanyId` cannot hold a brace, so neither the SSE encoder nor a Redis key escapes.
 */
import { MillraceError } from "./errors.ts";

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A tenant: 1-64 characters of `A-Z a-z 0-9 . _ -`. */
export type CompanyId = Brand<string, "CompanyId">;
/** What an SSE `event:` line carries: 1-64 characters of `a-z 0-9 . _ -`. */
export type EventType = Brand<string, "EventType">;

const COMPANY_ID = /^[A-Za-z0-9._-]{1,64}$/;
const EVENT_TYPE = /^[a-z0-9._-]{1,64}$/;

/**
 * Whose the operator's own services are: their status and log lines (Redis channels) belong to no tenant. The underscore keeps it apart
 * from tenants' names. Readers are those of role `ops`; a token of a tenant reads it only where its issuer says so.
 */
export const OPERATIONS_COMPANY = "_operations" as CompanyId;

/** Whose the log lines of the operator's services are: apart from their status, so that a service that floods pushes out no status. */
export const LOGS_COMPANY = "_logs" as CompanyId;

/** Whether `text` may name a company. */
export function isCompanyId(text: unknown): text is CompanyId {
  return typeof text === "string" && COMPANY_ID.test(text);
}

/** Whether `text` may be an event type. */
export function isEventType(text: unknown): text is EventType {
  return typeof text === "string" && EVENT_TYPE.test(text);
}

/** @throws MillraceError `invalid-input` naming the value. */
export function parseCompanyId(text: string): CompanyId {
  if (isCompanyId(text)) return text;
  throw new MillraceError(
    "invalid-input",
    `Cannot read companyId ${quote(text)}: expected 1-64 characters of A-Z a-z 0-9 . _ -`,
  );
}

/** @throws MillraceError `invalid-input` naming the value. */
export function parseEventType(text: string): EventType {
  if (isEventType(text)) return text;
  throw new MillraceError(
    "invalid-input",
    `Cannot read event type ${quote(text)}: expected 1-64 characters of a-z 0-9 . _ -`,
  );
}

/** An untrusted value for an error message: JSON-quoted (no control characters get through), at most 80 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
