/**
 * What Server-Sent Events say, as one JSON object a line, for transports that carry messages: a line is one WebSocket message. Its members are
 * those of a frame - `event`, `id`, `data`, `retry` - and a comment is the empty object.
 */
import { encodeText } from "./bytes.ts";
import type { Encoding } from "./encoding.ts";
import { recordData, recordType } from "./event.ts";

export const JSON_LINES: Encoding = {
  name: "json-lines",
  // Put together from the stored text: parsing and printing would change large numbers.
  event(cursor, record, format) {
    const data = format === "data" ? recordData(record) : record;
    return encodeText(`{"event":"${recordType(record)}","id":"${cursor}","data":${data}}\n`);
  },
  cursor: (id) => line({ id }),
  gap: ({ reason, requested, resumedAt, after }) =>
    line({ event: "gap", id: after, data: { reason, requested, resumedAt } }),
  retry: (retry) => line({ retry }),
  notice: (event, data) => line({ event, data }),
  heartbeat: line({}),
};

function line(message: object): Uint8Array {
  return encodeText(`${JSON.stringify(message)}\n`);
}
