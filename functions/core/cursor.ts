/**
 * Where a reader stands in one company's log: the log's epoch and the position of the last entry it has.
 *
 * Text form: `<epoch>.<ms>-<seq>`, at most 64 characters of `A-Z a-z 0-9 . _ -`, so a cross-origin browser sends it as
 * `Last-Event-ID` without a preflight (Fetch, CORS-safelisted request-header). Clients treat it as opaque.
 *
 * A position is a Redis stream id (`<milliseconds>-<sequence>`, XADD), which the other adapters follow. Ours
 * have at most 15 digits a half: below 2^53, so `Number` compares them exactly, which for ids in general it does not.
 */
import { MillraceError } from "./errors.ts";
import { quote } from "./ids.ts";

declare const brand: unique symbol;
/** An opaque resume token, valid in form (whether its log still exists is the log's to say). */
export type Cursor = string & { readonly [brand]: "Cursor" };

/** The two halves of a cursor. */
export interface CursorParts {
  /** Names the log; another epoch means the log was lost and made again. */
  readonly epoch: string;
  /** `<ms>-<seq>` within the log. */
  readonly position: string;
}

const CURSOR = /^([A-Za-z0-9]{1,24})\.((?:0|[1-9]\d{0,14})-(?:0|[1-9]\d{0,14}))$/;

/** The epoch of a log that did not exist yet when the reader joined. */
export const NO_EPOCH = "0";
/** The position before the first entry of any log. */
export const BEFORE_FIRST = "0-0";
/** What a reader holds who joined before the company's first event: everything is still to come. */
export const GENESIS = formatCursor(NO_EPOCH, BEFORE_FIRST);

/** Joins the halves. The caller vouches for them. */
export function formatCursor(epoch: string, position: string): Cursor {
  return `${epoch}.${position}` as Cursor;
}

/** @throws MillraceError `invalid-input` when `text` is not a cursor in form. */
export function parseCursor(text: string): Cursor {
  if (CURSOR.test(text)) return text as Cursor;
  throw new MillraceError(
    "invalid-input",
    `Cannot read cursor ${quote(text)}: expected the id of an event of this stream, as it was sent`,
  );
}

/** Splits a cursor. */
export function cursorParts(cursor: Cursor): CursorParts {
  const dot = cursor.indexOf(".");
  return { epoch: cursor.slice(0, dot), position: cursor.slice(dot + 1) };
}

/** Orders two positions of one log: negative, zero or positive. */
export function comparePositions(a: string, b: string): number {
  const [aMs, aSeq] = positionParts(a);
  const [bMs, bSeq] = positionParts(b);
  return aMs - bMs || aSeq - bSeq;
}

/** `<ms>-<seq>` as two integers. */
export function positionParts(position: string): [ms: number, seq: number] {
  const dash = position.indexOf("-");
  return [Number(position.slice(0, dash)), Number(position.slice(dash + 1))];
}

/** A name for a new log: 12 random characters of `a-z 0-9`, never {@link NO_EPOCH}. */
export function newEpoch(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => (byte % 36).toString(36)).join("");
}
