/** Where a producer sends to. */
import type { Send } from "./message.ts";

export interface Target {
  readonly send: Send;
  /** Resolves when the broker has all that was sent, as far as it says so. Throws as `send` does. */
  close(): Promise<void>;
}
