/** Reasons as decoding really says them, each in its class. */
import { expect, it } from "vitest";
import { classifyReason } from "../../bridge/dead-letter-reason.ts";
import { createDecode } from "../../bridge/decode.ts";

const decode = createDecode({ source: "/nats/test", rules: {}, lastResortId: "random" });
const ok = { companyId: "acme", type: "x" };
const reading = { ...ok, metric_name: "M", uuid: "GPU-1", value: 1, timestamp: "2026-01-31T12:00:00Z" };

it.each<[string, string, unknown, Record<string, string>?]>([
  ["company", "metrics.x", {}],
  ["company", "metrics.x", { companyId: "no such company" }],
  ["company", "metrics.x", { companyId: "acme" }, { companyid: "globex" }],
  ["data", "metrics.x", "not JSON"],
  ["data", "metrics.x", { ...ok, text: "x".repeat(140_000) }],
  ["data", "metrics.x", { ...ok, specversion: "7" }, { "content-type": "application/cloudevents+json" }],
  ["attribute", "UPPER case!", ok],
  ["attribute", "gap", ok],
  ["attribute", "metrics.x", { ...ok, id: "x".repeat(300) }],
  ["reading", "telemetry.gpu", { ...reading, value: {} }],
  ["reading", "telemetry.gpu", { ...reading, timestamp: "yesterday" }],
])("a message is a dead letter of the reason %s (%s %j)", (reason, subject, data, headers = {}) => {
  const body = new TextEncoder().encode(typeof data === "string" ? data : JSON.stringify(data));
  const decoded = decode({ subject, headers, body, messageId: undefined });
  if (!("undecodable" in decoded)) throw new Error("it became an event");
  expect([classifyReason(decoded.undecodable.reason), decoded.undecodable.reason]).toEqual([
    reason,
    expect.any(String),
  ]);
});

it("classifyReason: a message that is worn, and what nobody has thought of", () => {
  const worn =
    'Cannot process message "414d51": backed out 5 times, expected fewer than the 5 of BOTHRESH (away)';
  expect(classifyReason(worn)).toBe("worn");
  expect(classifyReason("something else")).toBe("other");
});
