/** A message of a producer before it has a form on a wire, and the two forms. */
import { typeOfSubject } from "../../functions/core/subject.ts";

export interface Message {
  /** Unique: the id of its event, and what a broker that drops duplicates goes by. */
  readonly id: string;
  /** Who says it: a URI reference such as `/demo/metrics`. */
  readonly source: string;
  /** What it is about: the subject, routing key, queue or channel on which the bridge gets it. */
  readonly subject: string;
  /** The event type, where it is not the one of the subject (core/subject.ts). */
  readonly type?: string | undefined;
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

/** A CloudEvents 1.0 event in structured mode (cloudevents.io spec, JSON event format). */
export function encodeCloudEvent(message: Message): Uint8Array {
  const { id, source, subject, type, time, companyId, body } = message;
  const event = {
    specversion: "1.0",
    id,
    source,
    type: type ?? typeOfSubject(subject),
    subject,
    time,
    companyid: companyId,
    datacontenttype: "application/json",
    data: body,
  };
  return new TextEncoder().encode(JSON.stringify(event));
}
