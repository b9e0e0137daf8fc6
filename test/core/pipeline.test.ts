import { describe, expect, it } from "vitest";
import {
  BRIDGE_LEASE_MS,
  BUSY_LEASE_MS,
  type HeldReport,
  type SourceReport,
  sourcesOf,
} from "../../functions/core/pipeline.ts";

const NOW_MS = Date.parse("2026-01-31T12:00:00Z");

const source = (name: string, more: Partial<SourceReport> = {}): SourceReport => ({
  ...{ name, kind: "nats", state: "up", rate: 0, appended: 5, redelivered: 1, deadLetters: 2 },
  ...{ lag: null, lastEventAt: null },
  ...more,
});

const held = (bridge: string, ageMs: number, upMs: number, ...sources: SourceReport[]): HeldReport => ({
  ...{ bridge, ageMs, upMs, sources },
});

const states = (...reports: HeldReport[]) =>
  sourcesOf(reports, NOW_MS).map(({ name, instance, state }) => `${name} ${instance} ${state}`);

describe("sourcesOf", () => {
  it("sorts the sources of all bridges, each with whose it is and when it was said", () => {
    const found = sourcesOf(
      [held("y", 0, 1_000, source("orders")), held("x", 2_500, 1_000, source("orders"), source("audit"))],
      NOW_MS,
    );
    expect(found).toEqual([
      { ...source("audit"), instance: "x", reportedAt: "2026-01-31T11:59:57.500Z" },
      { ...source("orders"), instance: "x", reportedAt: "2026-01-31T11:59:57.500Z" },
      { ...source("orders"), instance: "y", reportedAt: "2026-01-31T12:00:00.000Z" },
    ]);
  });

  it("calls a bridge lost when its lease has ended, and a busy one that goes silent sooner; its rate is 0", () => {
    const idle = source("a", { state: "down", reason: "refused" });
    const busy = source("a", { rate: 3 });
    expect(states(held("x", BRIDGE_LEASE_MS - 1, 0, idle))).toEqual(["a x down"]);
    expect(states(held("x", BRIDGE_LEASE_MS, 0, idle))).toEqual(["a x lost"]);
    expect(states(held("x", BUSY_LEASE_MS - 1, 0, busy))).toEqual(["a x up"]);
    expect(states(held("x", BUSY_LEASE_MS, 0, idle, busy))).toEqual(["a x lost", "a x lost"]);
    const [first] = sourcesOf([held("x", BUSY_LEASE_MS, 0, busy)], NOW_MS);
    expect(first).toMatchObject({ rate: 0, appended: 5, state: "lost" });
  });

  it("tells of a lost bridge until one that began later runs all it ran", () => {
    const dead = held("dead", 100_000, 5_000_000, source("a"), source("b"));
    const lost = ["a dead lost", "b dead lost"];
    expect(states(dead, held("later", 1_000, 60_000, source("a"), source("b"), source("c")))).toEqual([
      ...["a later up", "b later up", "c later up"],
    ]);
    // One that ran beside it, one that runs but a part, one that runs others of the name.
    expect(states(dead, held("beside", 1_000, 100_000, source("a"), source("b")))).toEqual(
      expect.arrayContaining(lost),
    );
    expect(states(dead, held("part", 0, 1, source("a")))).toEqual(expect.arrayContaining(lost));
    const other = source("b", { kind: "rabbitmq" });
    expect(states(dead, held("other", 0, 1, source("a"), other))).toEqual(expect.arrayContaining(lost));
    // Dead itself, it replaces nobody.
    expect(states(dead, held("z", 90_000, 1, source("a"), source("b")))).toHaveLength(4);
  });
});
