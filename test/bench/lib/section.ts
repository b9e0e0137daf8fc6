/** What a part of the bench is given, and what it hands back for the report. */
import type { LoadClientCalls } from "./load-client.ts";
import type { PublisherCalls } from "./publisher.ts";
import type { System } from "./systems.ts";
import type { Worker } from "./worker.ts";

export interface BenchContext {
  readonly client: Worker<LoadClientCalls>;
  readonly publisher: Worker<PublisherCalls>;
  /** Those that can run here, Millrace among them. */
  readonly systems: readonly System[];
  /** Fewer and shorter measurements. */
  readonly quick: boolean;
  /** Says what is being measured. */
  progress(text: string): void;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** A number the project has promised. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly met: boolean;
}

export interface SectionResult {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Events lost and the like: they fail the run. */
  readonly failures: readonly string[];
  /** Everything measured, for the JSON file. */
  readonly data: unknown;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  run(context: BenchContext): Promise<SectionResult>;
}

/** The system the targets are about. */
export const MILLRACE = "millrace";

/** A target, when both numbers were measured in this run. */
export function target(
  what: string,
  wanted: string,
  ratio: number,
  unit: string,
  holds: (ratio: number) => boolean,
): Target[] {
  if (!Number.isFinite(ratio)) return [];
  return [{ what, wanted, measured: `${format(ratio)}${unit}`, met: holds(ratio) }];
}

/** Three digits that matter, thousands grouped. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : 2);
}
