/** Messages that are no events. */
import type { RawPublish } from "./queue-broker.ts";

/** A message that is no event, and what its dead letter must say. */
export type Poison = readonly [name: string, message: RawPublish, reason: RegExp];

const CLOUD_EVENT = { specversion: "1.0", source: "/s", type: "t", data: {} };
const json = (value: object) => JSON.stringify(value);

/** Those that every broker carries. @param maxMessageBytes Of the largest one. */
export function poisonsFor(company: string, maxMessageBytes: number): Poison[] {
  const own = (more: object) => json({ companyId: company, ...more });
  const wide = (bytes: number) => own({ pad: "x".repeat(bytes - own({ pad: "" }).length) });
  return [
    ["text", { body: "poison" }, /not JSON/],
    ["half a JSON object", { body: `{"companyId":"${company}"` }, /not JSON/],
    ["no UTF-8", { body: Uint8Array.of(0x22, 0xc3, 0x28, 0x22) }, /not UTF-8/],
    ["nothing", { body: "" }, /not JSON/],
    ["no company", { body: json({ n: -1 }) }, /no company/],
    ["a company with line breaks", { body: json({ companyId: `${company}\n\nevent: x` }) }, /companyId/],
    ["two companies", { body: own({}), headers: { companyid: "globex" } }, /data\.companyId/],
    ["a company with U+0001, in a header", { body: "{}", headers: { companyid: "ac\u0001me" } }, /companyId/],
    ["a CloudEvent without an id", { body: json({ ...CLOUD_EVENT, companyid: company }) }, /event id/],
    ["over 128 KiB", { body: wide(128 * 1024 + 1) }, /over 131072 bytes/],
    ["as large as the broker takes", { body: wide(maxMessageBytes) }, /over 131072 bytes/],
  ];
}

/** Of a queue "poison": those a broker carries whose messages have an id of the publisher's. */
export const POISONED_IDS: readonly Poison[] = [
  ["an id with U+0001", { body: json({ companyId: "poison" }), id: "i\u0001" }, /event id/],
  [
    "a CloudEvent by its header alone",
    { body: "{}", headers: { "content-type": "application/cloudevents+json" } },
    /specversion/,
  ],
];
