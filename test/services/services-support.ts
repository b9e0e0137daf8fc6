/** What the tests of services share: what services say, as events, and watchers of the board that remember. */
import { randomUUID } from "node:crypto";
import { type MillraceEvent, parseEvent } from "../../functions/core/event.ts";
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import type { EndReason } from "../../functions/ports/hub.ts";
import type { MessageSink } from "../../functions/ports/message-sink.ts";
import type { BoardMessage, ServiceBoard } from "../../functions/ports/service-board.ts";
import { waitFor } from "../support/wait.ts";

const eventOf = (companyId: string, type: string, data: object): MillraceEvent =>
  parseEvent({ companyId, type, source: "/test", id: randomUUID(), dataText: JSON.stringify(data) });

/** A service says how it is. */
export function statusOf(service: string, data: object = {}): MillraceEvent {
  return eventOf(OPERATIONS_COMPANY, "service_status", { service, state: "running", interval: 60, ...data });
}

/** A service logs. */
export function lineOf(service: string, message: string, level = "info"): MillraceEvent {
  return eventOf(LOGS_COMPANY, "log_line", { ts: "2026-01-31T12:00:00Z", level, service, message });
}

export interface ServiceJson {
  readonly name: string;
  readonly state: string;
  readonly silent: boolean;
  readonly queueSize: number | null;
  readonly lastSeen: string;
  readonly [more: string]: unknown;
}
export interface SnapshotJson {
  readonly services: readonly ServiceJson[];
  readonly sms: object | null;
  readonly timestamp: string;
}

/** A client that takes everything, unless `takes` says it is full. */
export function watchBoard(board: ServiceBoard, { takes = () => true }: { takes?: () => boolean } = {}) {
  const heard: { readonly name: string; readonly data: unknown }[] = [];
  const ends: EndReason[] = [];
  let writes = 0;
  let heartbeats = 0;
  const sink: MessageSink<BoardMessage> = {
    send({ events }) {
      writes++;
      heard.push(...events.map(({ name, data }) => ({ name, data: JSON.parse(data) as unknown })));
      return takes();
    },
    heartbeat() {
      heartbeats++;
      return takes();
    },
    notify: () => takes(),
    onDrain() {},
    end: (reason) => void ends.push(reason),
  };
  const joined = board.watch(sink);
  const snapshots = () =>
    heard.filter(({ name }) => name === "snapshot").map(({ data }) => data as SnapshotJson);
  const changes = () =>
    heard.filter(({ name }) => name === "service_status").map(({ data }) => data as ServiceJson);
  return {
    ...{ joined, sink, heard, ends, snapshots, changes },
    writes: () => writes,
    heartbeats: () => heartbeats,
    snapshot: () => waitFor("a snapshot", () => snapshots()[0]),
    /** Resolves with the first such change there is. */
    change: (what: string, test: (service: ServiceJson) => boolean) =>
      waitFor(`${what}, have ${JSON.stringify(changes().slice(-3))}`, () => changes().find(test)),
  };
}
