/** What was published and what was not, for Prometheus. */
import { Counter, type Registry, register } from "prom-client";
import { MAX_COUNTED_TYPES } from "../../functions/core/limits.ts";

/**
 * - `invalid`: the caller's message cannot be.
 * - `away`: no connection. `blocked`: the broker takes nothing, being out of memory or disk. `timeout`: no answer in time.
 * - `nack`: the broker refused it (a queue that is full with `reject-publish`). `unroutable`: no queue is bound for it.
 * - `refused`: the broker closed the channel over it (no permission).
 * - `full`: as much is held as may be. `closed`: the publisher is. `storage`: the outbox could not be written.
 */
export type FailureReason =
  | "invalid"
  | "away"
  | "blocked"
  | "timeout"
  | "nack"
  | "unroutable"
  | "refused"
  | "full"
  | "closed"
  | "storage";

/** Whether it lies in the message or in what is set up for it, not in the connection. */
export function isRefusal(reason: FailureReason): boolean {
  return reason === "nack" || reason === "unroutable" || reason === "refused";
}

export interface Counters {
  published(routingKey: string): void;
  failed(reason: FailureReason): void;
}

/** Publishers on one registry share the counters. */
export function createCounters(registry: Registry = register): Counters {
  const published = counter(
    registry,
    "events_published_total",
    "Messages the broker has confirmed",
    "routing_key",
  );
  const failed = counter(
    registry,
    "events_publish_failed_total",
    "Messages, and with an outbox tries, that did not reach the broker",
    "reason",
  );
  const seen = new Set<string>();
  return {
    published(routingKey) {
      // A key that holds an id would make a series a message.
      if (seen.size < MAX_COUNTED_TYPES) seen.add(routingKey);
      published.inc({ routing_key: seen.has(routingKey) ? routingKey : "other" });
    },
    failed: (reason) => failed.inc({ reason }),
  };
}

function counter<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  label: Label,
): Counter<Label> {
  const existing = registry.getSingleMetric(name) as Counter<Label> | undefined;
  return existing ?? new Counter({ name, help, labelNames: [label], registers: [registry] });
}
