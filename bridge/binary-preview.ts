/** A body that is not JSON, as an event can carry it: how long it is, and how it begins. */
import type { RawMessage } from "../functions/ports/broker-source.ts";
import type { View } from "./message-view.ts";

/** Bytes of the body that are shown. */
const PREVIEW_BYTES = 128;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** What locators see of it: headers and the subject, no field. Undefined when the body is JSON after all. */
export function viewBinary(message: RawMessage): View | undefined {
  if (isJson(message.body)) return undefined;
  // Whole, for the sake of an id made of the content: bodies that begin alike are not the same.
  const dataText = Buffer.from(message.body).toString("latin1");
  return { message, isStructured: false, headers: message.headers, dataText, data: () => ({}) };
}

/** The event's data: `{"encoding":"hex","bytes":N,"preview":"<the first 128 bytes>"}`. */
export function previewText({ body }: RawMessage): string {
  const preview = Buffer.from(body.subarray(0, PREVIEW_BYTES)).toString("hex");
  return JSON.stringify({ encoding: "hex", bytes: body.byteLength, preview });
}

function isJson(body: Uint8Array): boolean {
  try {
    JSON.parse(UTF8.decode(body));
    return true;
  } catch {
    return false;
  }
}
