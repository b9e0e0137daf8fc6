/** A broker's message as the locators see it, whether it is a CloudEvent in its body, one in its headers, or none. */
import { MillraceError } from "../functions/core/errors.ts";
import { quote } from "../functions/core/ids.ts";
import { memberText } from "../functions/core/json-member.ts";
import type { RawMessage } from "../functions/ports/broker-source.ts";

export interface View {
  readonly message: RawMessage;
  /** Whether the attributes came in the body. */
  readonly isStructured: boolean;
  /** Names in lower case; of a structured CloudEvent its attributes are among them, as `ce-<name>`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The payload as it is written. */
  readonly dataText: string;
  /** The payload parsed. @throws MillraceError `invalid-input` when it is not JSON. */
  data(): unknown;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });
const STRUCTURED = /^application\/cloudevents\+json\s*(;|$)/i;

/** @throws MillraceError `invalid-input` when the body is not UTF-8, or is said to be a CloudEvent and is none. */
export function viewMessage(message: RawMessage): View {
  const text = decodeUtf8(message.body);
  return viewStructured(message, text) ?? viewPlain(message, text);
}

/** A header, by its name in lower case. */
export function header(view: View, name: string): string | undefined {
  const value = own(view.headers, name) || undefined;
  if (view.isStructured || !value?.includes("%") || !name.startsWith("ce-")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function invalid(name: string, was: string, expected: string): MillraceError {
  return new MillraceError("invalid-input", `Cannot read event ${name}: ${was}, expected ${expected}`);
}

/** The same message with another payload. */
export function withDataText(view: View, text: string): View {
  if (text === view.dataText) return view;
  const { dataText, data } = viewPlain(view.message, text);
  return { ...view, dataText, data };
}

function viewPlain(message: RawMessage, text: string): View {
  let parsed: { readonly value: unknown } | undefined;
  const data = () => {
    parsed ??= { value: parseJson(text) };
    return parsed.value;
  };
  return { message, isStructured: false, headers: message.headers, dataText: text, data };
}

function viewStructured(message: RawMessage, text: string): View | undefined {
  const isStated = STRUCTURED.test(own(message.headers, "content-type") ?? "");
  if (!isStated && !text.includes('"specversion"')) return undefined;
  const event = parseJson(text);
  if (!isObject(event) || event.specversion !== "1.0") {
    if (!isStated) return undefined;
    throw invalid("specversion", isObject(event) ? JSON.stringify(event.specversion) : "none", '"1.0"');
  }
  const headers: Record<string, string> = { ...message.headers };
  for (const [name, value] of Object.entries(event)) {
    if (name === "data" || name === "data_base64" || typeof value === "object") continue;
    headers[`ce-${name.toLowerCase()}`] = typeof value === "number" ? memberText(text, name)! : String(value);
  }
  const base64 = event.data === undefined ? event.data_base64 : undefined;
  if (typeof base64 === "string") {
    const dataText = decodeUtf8(Buffer.from(base64, "base64"));
    return { ...viewPlain(message, dataText), isStructured: true, headers };
  }
  const dataText = memberText(text, "data") ?? "{}";
  return { message, isStructured: true, headers, dataText, data: () => event.data };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw invalid("data", "not UTF-8", "JSON in UTF-8");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("data", `not JSON (${quote(text)})`, "a JSON value");
  }
}

function own(record: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
