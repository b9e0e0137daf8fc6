/**
 * The pipeline at a glance: what `GET /api/pipeline` answers and the page `/` shows. Each bridge reports its sources to the store; whoever is
 * asked puts the reports of all of them together.
 */

/** What a bridge says of one source. */
export interface SourceReport {
  /** As in bridge.yaml. */
  readonly name: string;
  /** Such as `nats`, `rabbitmq`, `framed-tcp`. */
  readonly kind: string;
  /** `starting` until the first connection; `stopped` while the bridge closes. */
  readonly state: "starting" | "up" | "down" | "stopped";
  /** Why it brings nothing; absent while all is well. Secrets in URLs are masked. At most REASON_CHARS. Text of strangers: never HTML. */
  readonly reason?: string;
  /** Events new in the log a second, over the last RATE_MS, or since it began; to one decimal. */
  readonly rate: number;
  /** Events new in the log since the bridge began. */
  readonly appended: number;
  /** Events the broker delivered again, so that the log had them already, since the bridge began. */
  readonly redelivered: number;
  /** Messages put into the dead letters since the bridge began. */
  readonly deadLetters: number;
  /** Messages the broker holds for it; null: the broker keeps none, or cannot tell now. */
  readonly lag: number | null;
  /** When an event last got into the log, to the second, RFC 3339; null: none since the bridge began. */
  readonly lastEventAt: string | null;
}

/** What one bridge says of itself. */
export interface BridgeReport {
  /** Milliseconds since it began: unlike a time of day it needs no common clock. */
  readonly upMs: number;
  /** In the order of its configuration. */
  readonly sources: readonly SourceReport[];
}

/** A report as the store holds it. */
export interface HeldReport extends BridgeReport {
  /** The bridge's own name, see {@link PipelineSource}. */
  readonly bridge: string;
  /** Milliseconds since it was made, by the store's clock. */
  readonly ageMs: number;
}

/** One source of one bridge. */
export interface PipelineSource extends Omit<SourceReport, "state"> {
  /** Which bridge: its host and a random part. Two bridges may run the same source. */
  readonly instance: string;
  /**
   * `lost`: its bridge has not been heard of and did not say good-bye, so that it is most likely dead; the numbers are its last ones, the
   * rate is 0. It is told of for LOST_MS, or until a bridge that began later runs the same sources.
   */
  readonly state: SourceReport["state"] | "lost";
  /** When its bridge was last heard of, RFC 3339. At most BRIDGE_LEASE_MS ago unless it is lost. */
  readonly reportedAt: string;
}

/** The answer of `GET /api/pipeline`. */
export interface Pipeline {
  /** Of all bridges, sorted by name, then by instance. Empty: no bridge runs. */
  readonly sources: readonly PipelineSource[];
  readonly log: {
    /** Where it is: `redis` over RESP or REST, or `embedded` in DATA_DIR. */
    readonly store: "redis" | "embedded";
    /** That have events in it. */
    readonly companies: number;
    /** Kept now, over all companies. At most LOG_SIZE_MS old. */
    readonly events: number;
    /** Events a second that the bridges append, together. */
    readonly rate: number;
    /** Whether it answers. True here: while it does not, the whole answer is 503. */
    readonly up: boolean;
  };
  /** Open streams of events, over all instances. */
  readonly connections: {
    readonly total: number;
    readonly activeCompanies: number;
    /** Servers (at the edge: Durable Objects) that hold at least one. */
    readonly instances: number;
  };
  /** When this was so, RFC 3339. */
  readonly timestamp: string;
}

/** Milliseconds a rate looks back. */
export const RATE_MS = 10_000;
/** Characters of a reason; more tell an operator nothing. */
export const REASON_CHARS = 300;
/** Milliseconds a bridge is believed to run after its last report. It renews at a third of it. */
export const BRIDGE_LEASE_MS = 60_000;
/** Milliseconds a bridge whose rate is not 0 is believed: it would have said that it became 0. */
export const BUSY_LEASE_MS = 15_000;
/** Milliseconds a lost bridge is told of: long enough for an operator who comes back from lunch to ask, with the alert in hand. */
export const LOST_MS = 600_000;
/** Milliseconds the size of the log is good for: on Redis it costs a command a company. */
export const LOG_SIZE_MS = 5_000;

/** The sources of all bridges as of `nowMs`, milliseconds since 1970. */
export function sourcesOf(held: readonly HeldReport[], nowMs: number): PipelineSource[] {
  const bridges = held.map((report) => ({ ...report, isLost: isLost(report) }));
  const live = bridges.filter((bridge) => !bridge.isLost);
  return bridges
    .filter((bridge) => !bridge.isLost || !live.some((other) => replaces(other, bridge)))
    .flatMap(({ bridge, ageMs, sources, isLost }) =>
      sources.map((source) => ({
        ...source,
        ...(isLost ? { state: "lost" as const, rate: 0 } : {}),
        instance: bridge,
        reportedAt: new Date(nowMs - ageMs).toISOString(),
      })),
    )
    .sort((a, b) => compare(a.name, b.name) || compare(a.instance, b.instance));
}

function isLost({ ageMs, sources }: HeldReport): boolean {
  return ageMs >= (sources.some(({ rate }) => rate > 0) ? BUSY_LEASE_MS : BRIDGE_LEASE_MS);
}

/** Whether a bridge began after the lost one was last heard of, and runs all it ran. */
function replaces(bridge: HeldReport, lost: HeldReport): boolean {
  const runs = new Set(bridge.sources.map(keyOf));
  return bridge.ageMs + bridge.upMs <= lost.ageMs && lost.sources.every((source) => runs.has(keyOf(source)));
}

const keyOf = ({ name, kind }: SourceReport) => `${kind} ${name}`;
const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
