/** `millrace/client`: what a page needs to read the streams of a Millrace server. */
export type { StreamGap } from "./item.ts";
export {
  openStream,
  type Stream,
  type StreamMessage,
  type StreamOptions,
  type StreamState,
} from "./stream.ts";
export {
  type SubscribeOptions,
  type Subscription,
  type SubscriptionEvent,
  subscribe,
} from "./subscribe.ts";
export type { GetToken } from "./token.ts";
export type { SubscriptionState, Transport } from "./updates.ts";
