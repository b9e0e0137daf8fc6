/** A text that goes to many clients: encoded once, in whichever form the way to them takes. */
import { encodeText } from "./bytes.ts";

export interface TextMessage {
  readonly text: string;
  /** UTF-8. Shared: never change it. */
  readonly utf8: Uint8Array;
}

/** The bytes are made when they are first asked for. */
export function textMessage(text: string): TextMessage {
  let utf8: Uint8Array | undefined;
  return {
    text,
    get utf8() {
      utf8 ??= encodeText(text);
      return utf8;
    },
  };
}
