/** A message of a producer before it has a form on a wire, and the two forms. */
import { typeOfSubject } from "../../functions/core/subject.ts";

export interface Message {
  /** Unique: the id of its event, and what a broker that drops duplicates goes by. */
  readonly id: string;
  /** Who says it: a URI reference such as `/demo/metrics`. */
  readonly source: string;
  /** What it is about, as a NATS subject. */
  readonly subject: string;
  /** RFC 3339. */
  readonly time: string;
  /** Undefined: the message does not say. */
  readonly companyId: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sends one message; resolves when there is room for the next. */
export type Send = (message: Message) => Promise<void>;

/** What a generator draws from; a test passes its own. */
export interface GeneratorOptions {
  /** At least one. They take turns. */
  readonly companies: readonly string[];
  /** In [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Default a random UUID. */
  readonly newId?: (() => string) | undefined;
}

/** The body alone, as JSON. */
export function encodeBody(message: Message): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message.body));
}

/** A CloudEvents 1.0 event in structured mode (cloudevents.io spec, JSON event format), its type told from the subject. */
export function encodeCloudEvent({ id, source, subject, time, companyId, body }: Message): Uint8Array {
  const event = {
    specversion: "1.0",
    id,
    source,
    type: typeOfSubject(subject),
    subject,
    time,
    companyid: companyId,
    datacontenttype: "application/json",
    data: body,
  };
  return new TextEncoder().encode(JSON.stringify(event));
}
