/** A payload of IBM MQ in one line for a reader, and as a whole. Pure; whatever it holds is text. */

/** What a line says of a payload. */
export interface Facts {
  /** What it is about. */
  readonly main: string;
  readonly more: string;
  /** When, milliseconds since 1970; undefined where it does not say. */
  readonly timeMs: number | undefined;
}

export type Payload = Readonly<Record<string, unknown>>;

/** A body that was no JSON: how long it is, and how it begins. */
interface Bytes {
  readonly bytes: number;
  readonly preview: string;
}

/** Fields that every payload has, or that tell a reader nothing. */
const DULL: ReadonlySet<string> = new Set(["companyId", "ts", "time", "timestamp", "encoding"]);
/** Facts of a payload that none of the readers below knows. */
const MOST_FACTS = 4;
/** Characters of one fact. */
const MOST_CHARS = 80;
/** Bytes a line of a dump. */
const LINE_BYTES = 16;

/** By the feed's name. Undefined: the payload is not of this shape. */
const READERS: Readonly<Record<string, (payload: Payload) => Omit<Facts, "timeMs"> | undefined>> = {
  AUDIT_TXN({ amount, currency, merchant, account }) {
    if (typeof amount !== "number") return undefined;
    return { main: `${formatAmount(amount)} ${text(currency)}`.trim(), more: joined(merchant, account) };
  },
  PROMO_FEED({ total, items, customer_id, promo_opt_in }) {
    if (typeof total !== "number") return undefined;
    const count = Array.isArray(items) ? items.length : 0;
    const size = count === 0 ? "" : count === 1 ? "1 item" : `${count} items`;
    return {
      main: formatAmount(total),
      more: joined(size, customer_id, promo_opt_in === true ? "wants offers" : ""),
    };
  },
  CENTRAL_SYNC({ sku, delta, store }) {
    if (typeof delta !== "number") return undefined;
    return { main: `${delta > 0 ? "+" : "−"}${Math.abs(delta)} ${text(sku)}`.trim(), more: joined(store) };
  },
};

/** What a line says. `showsCompany`: payloads of several companies stand together. */
export function factsOf(feed: string, payload: Payload, showsCompany: boolean): Facts {
  const bytes = bytesOf(payload);
  const facts = bytes
    ? { main: `${bytes.bytes.toLocaleString("en")} bytes`, more: spaced(bytes.preview.slice(0, 24)) }
    : (READERS[feed]?.(payload) ?? general(payload));
  const timeMs = Date.parse(text(payload.ts ?? payload.timestamp ?? payload.time));
  return {
    main: facts.main,
    more: joined(showsCompany ? payload.companyId : "", facts.more),
    timeMs: Number.isNaN(timeMs) ? undefined : timeMs,
  };
}

/** The whole: JSON by lines, or of bytes a dump of what is kept of them. */
export function wholeOf(payload: Payload): string {
  const bytes = bytesOf(payload);
  if (bytes === undefined) return JSON.stringify(payload, null, 2);
  const pairs = bytes.preview.match(/../g) ?? [];
  const lines: string[] = [];
  for (let at = 0; at < pairs.length; at += LINE_BYTES) {
    const part = pairs.slice(at, at + LINE_BYTES);
    const letters = part.map((pair) => letterOf(Number.parseInt(pair, 16))).join("");
    lines.push(
      `${at.toString(16).padStart(4, "0")}  ${part.join(" ").padEnd(3 * LINE_BYTES - 1)}  ${letters}`,
    );
  }
  const rest = bytes.bytes - pairs.length;
  if (rest > 0) lines.push(`… ${rest.toLocaleString("en")} more bytes, which are not kept`);
  return lines.join("\n");
}

function bytesOf({ encoding, bytes, preview }: Payload): Bytes | undefined {
  const isPreview = encoding === "hex" && typeof bytes === "number" && typeof preview === "string";
  return isPreview && /^([0-9a-f]{2})*$/.test(preview) ? { bytes, preview } : undefined;
}

function general(payload: Payload): Omit<Facts, "timeMs"> {
  const [first, ...others] = Object.entries(payload)
    .filter(([name, value]) => !DULL.has(name) && (typeof value !== "object" || value === null))
    .slice(0, MOST_FACTS)
    .map(([name, value]) => `${clip(name)} ${text(value)}`);
  return { main: first ?? "a payload", more: others.join(" · ") };
}

function joined(...parts: readonly unknown[]): string {
  return parts.map(text).filter(Boolean).join(" · ");
}

function text(value: unknown): string {
  return value === undefined || value === null || typeof value === "object" ? "" : clip(String(value));
}

function clip(value: string): string {
  return value.length > MOST_CHARS ? `${value.slice(0, MOST_CHARS)}…` : value;
}

function formatAmount(amount: number): string {
  return amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function spaced(hex: string): string {
  return (hex.match(/../g) ?? []).join(" ");
}

/** Printable ASCII, else a dot. */
function letterOf(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
}
