/** What the Hub contract's parts share: clients whose sinks fill and drain on command, on a real log. */
import { createSseParser, type SseParser } from "../../bin/conformance/sse-parser.ts";
import { type Cursor, parseCursor } from "../../functions/core/cursor.ts";
import { type CompanyId, parseEventType } from "../../functions/core/ids.ts";
import { SSE } from "../../functions/core/sse.ts";
import { typeFilter } from "../../functions/hub/type-filter.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import type { Hub, JoinRequest, Membership, Sink } from "../../functions/ports/hub.ts";
import { waitFor } from "../support/wait.ts";

export interface HubTimes {
  readonly heartbeatMs?: number;
  readonly idleTimeoutMs?: number;
  readonly maxConnectionAgeMs?: number;
  readonly bufferEvents?: number;
  readonly maxConnectionsPerCompany?: number;
}

export interface HubContract {
  readonly name: string;
  readonly create: (log: EventLog, times: HubTimes) => Hub;
}

/** One connection. */
export interface Client {
  readonly parser: SseParser;
  readonly membership: Membership;
  /** Sizes of the writes. */
  readonly writes: readonly number[];
  /** Most frames of events in one write. */
  readonly largestBatch: () => number;
  isEnded: () => boolean;
  /** Takes nothing more after the next write. */
  stall(): void;
  drain(): void;
  /** The `id` members of the events, gaps left out. */
  ids(): string[];
  gaps(): { reason: string; requested: string; resumedAt: string }[];
  cursor(): Cursor;
  text(): string;
  /** Options of waitFor. */
  has(count: number, options?: { readonly timeoutMs?: number }): Promise<void>;
}

export interface ClientOptions extends Partial<Omit<JoinRequest, "company" | "sink">> {
  readonly types?: readonly string[];
  readonly isStalled?: boolean;
}

/** Joins. @throws when the hub refuses. */
export function join(hub: Hub, company: CompanyId, options: ClientOptions = {}): Client {
  const parser = createSseParser();
  const writes: number[] = [];
  const written: Uint8Array[] = [];
  let largest = 0;
  let stalled = options.isStalled ?? false;
  let ended = false;
  const sink: Sink = {
    write(bytes) {
      if (ended) throw new Error("written to after its end");
      const before = parser.events.length;
      parser.push(bytes, performance.now());
      largest = Math.max(largest, parser.events.length - before);
      writes.push(bytes.byteLength);
      written.push(bytes);
      return !stalled;
    },
    onDrain() {},
    end() {
      ended = true;
    },
  };
  const { types, isStalled: _, ...request } = options;
  const membership = hub.join({
    company,
    after: undefined,
    encoding: SSE,
    format: "data",
    overflow: "catch-up",
    filter: types && typeFilter(types.map(parseEventType)),
    ...request,
    sink,
  });
  const data = (type: (type: string) => boolean) =>
    parser.events.filter((event) => type(event.type)).map((event) => JSON.parse(event.data));
  const ids = () => data((type) => type !== "gap").map(({ id }) => String(id));
  return {
    parser,
    membership,
    writes,
    largestBatch: () => largest,
    isEnded: () => ended,
    stall() {
      stalled = true;
    },
    drain() {
      stalled = false;
      sink.onDrain();
    },
    ids,
    gaps: () => data((type) => type === "gap"),
    cursor: () => parseCursor(parser.lastEventId),
    text: () => written.map((bytes) => new TextDecoder().decode(bytes)).join(""),
    async has(count, options) {
      await waitFor(`${count} events`, () => parser.events.length >= count, options);
    },
  };
}

/** Resolves when the client has been told where it stands. */
export async function joined(client: Client): Promise<Client> {
  await waitFor("the opening frame", () => client.parser.lastEventId !== "");
  return client;
}
