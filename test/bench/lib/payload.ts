/**
 * The event every system is given: a JSON object whose last two members have a fixed width, so that the load client finds the
 * number and the time of sending by counting back from the end of the frame, without decoding it.
 */

/** Numbers and stamps start here, so that each keeps its width (8 and 16 digits). */
export const FIRST_NUMBER = 10_000_000;
const STAMP_BASE = 1_000_000_000_000_000;

/** Type of the events, and what the clients of Millrace filter by. It is in the payload for a broker that has no subjects. */
export const EVENT_TYPE = "metric_updated";

/** About 125 bytes: what a metric in the field looks like. */
export function payload(company: string, number: number, sentMicros: number): string {
  return `{"companyId":"${company}","type":"${EVENT_TYPE}","metricName":"integration_score","value":0.85,"n":${number},"t":${STAMP_BASE + sentMicros}}`;
}

// Distances back from the end of `…,"n":12345678,"t":1234567890123456}`.
const STAMP = 1 + 16;
const STAMP_NAME = STAMP + 4;
const NUMBER = STAMP_NAME + 1 + 8;
const NUMBER_NAME = NUMBER + 4;

/** Whether a payload of ours ends before `end`. */
export function isPayload(bytes: Uint8Array, end: number): boolean {
  return (
    end >= NUMBER_NAME &&
    bytes[end - 1] === 0x7d &&
    bytes[end - STAMP_NAME] === 0x22 &&
    bytes[end - STAMP_NAME + 1] === 0x74 &&
    bytes[end - NUMBER_NAME] === 0x22 &&
    bytes[end - NUMBER_NAME + 1] === 0x6e
  );
}

function digits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at]! - 0x30);
  return value;
}

/** The number in the payload that ends before `end`. */
export function numberOf(bytes: Uint8Array, end: number): number {
  return digits(bytes, end - NUMBER, end - STAMP_NAME - 1);
}

/** When it was sent, on the clock of `nowMicros`. */
export function sentMicrosOf(bytes: Uint8Array, end: number): number {
  return digits(bytes, end - STAMP, end - 1) - STAMP_BASE;
}
