/**
 * RedisConnection: the little of Redis the adapters need, so that one adapter serves RESP (long-lived processes) and REST (edge).
 * Commands are arrays of strings as on the wire; replies are what RESP2 gives (string, number, null, arrays of them).
 * Errors: `unavailable` when the server cannot be reached in time; a reply error is thrown as it is.
 */
export type RedisReply = string | number | null | readonly RedisReply[];

export interface SubscriptionHandler {
  /** Over RESP and our gateway: of something that Redis has written to its append-only file, where it has one. */
  message(payload: string): void;
  /** The subscription is up again after it was lost: messages may have been missed. */
  restored(): void;
  /** Where there are no subscriptions, `restored` is called instead, so many milliseconds apart at most. Default 1,500. */
  readonly withinMs?: number;
}

export interface RedisConnection extends AsyncDisposable {
  command(args: readonly string[]): Promise<RedisReply>;
  /** All commands in one go, replies in order; a reply error rejects the whole. */
  pipeline(commands: readonly (readonly string[])[]): Promise<RedisReply[]>;
  /** Runs a Lua script by its hash, sending its text only when the server does not know it. Pipelined with what is sent in the same turn. */
  script(lua: string, keys: readonly string[], args: readonly string[]): Promise<RedisReply>;
  /** Resolves when the server has confirmed the subscription. The function returned ends it. */
  subscribe(channel: string, handler: SubscriptionHandler): Promise<() => void>;
}
