/** Where a value is found in a message: what the rules of bridge.yaml are made of. */
import { hash, randomUUID } from "node:crypto";
import { memberText } from "../functions/core/json-member.ts";
import { header, isObject, type View } from "./message-view.ts";

/** Where a value is found in a message. */
export type Locator =
  /** A header, by its name in any case. */
  | { readonly header: string }
  /** A path of member names joined by dots, in the payload (of a CloudEvent: in its data). A string, or a number as it is written. */
  | { readonly field: string }
  /** A token of the subject, 1 being the first. */
  | { readonly subjectToken: number }
  /** This text, always. */
  | { readonly value: string };

/** A locator, or an id made here: of the content, or at random. */
export type IdLocator = Locator | "content" | "random";

/** Finds a value, or does not. */
export type Find = (view: View) => string | undefined;

/** @param contentScope What of the subject `content` covers. */
export function compile(
  locator: IdLocator,
  contentScope: (subject: string) => string = (subject) => subject,
): Find {
  if (locator === "random") return () => randomUUID();
  if (locator === "content") {
    return ({ message, dataText }) => {
      const scope = contentScope(message.subject);
      return hash("sha256", `${scope}\0${dataText}`, "base64url");
    };
  }
  if ("value" in locator) return () => locator.value;
  if ("header" in locator) {
    const name = locator.header.toLowerCase();
    return (view) => header(view, name);
  }
  if ("field" in locator) {
    const path = locator.field.split(".");
    return (view) => field(view, path);
  }
  return ({ message }) => message.subject.split(".")[locator.subjectToken - 1] || undefined;
}

/** A member of the payload by its path: a text that is not empty, or a number as it is written. */
export function field(view: View, path: readonly string[]): string | undefined {
  let value = view.data();
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  if (typeof value === "string") return value || undefined;
  // A number is taken as it is written: an id of 20 digits is not the one JSON.parse makes of it.
  if (typeof value === "number") return path.reduce((text, name) => memberText(text, name)!, view.dataText);
  return undefined;
}
