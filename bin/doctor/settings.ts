/** What the settings name, by area: this machine, who is let in, the store, the brokers. */
import type { SourceConfig } from "../../bridge/config/config.ts";
import { isEmbedded, type Settings } from "../../functions/core/settings.ts";
import { describeSource } from "../bridge-file.ts";
import { holdsStore, SOURCE_SWITCHES } from "../context.ts";
import { accessProbes } from "./access.ts";
import { contentsProbes } from "./contents.ts";
import { dataDirProbe } from "./data-dir.ts";
import { examineAll, type Finding, type Probe } from "./examine.ts";
import { machineProbes } from "./machine.ts";
import { redisProbe, redisRestProbe } from "./redis.ts";
import { sourceProbe } from "./sources.ts";

/** Findings of what belongs together. */
export interface Area {
  readonly name: string;
  readonly findings: readonly Finding[];
}

/** Milliseconds: the driver itself gives up after 5 s, and then says why. */
const MONGODB_MS = 8_000;

/** Never rejects; in the order of the screen. */
export async function examineSettings(settings: Settings, sources: readonly SourceConfig[]): Promise<Area[]> {
  const all = async (probes: readonly Probe[]) => (await Promise.all(probes.map(examineAll))).flat();
  const on = sources.filter(({ enabled }) => enabled);
  const [machine, access, store, brokers] = await Promise.all([
    all(machineProbes(settings)),
    all(accessProbes(settings)),
    examineStore(settings),
    all(on.map(sourceProbe)),
  ]);
  return [
    { name: "machine", findings: machine },
    { name: "access", findings: access },
    { name: "store", findings: store },
    { name: "sources", findings: [...brokers, ...quiet(sources)] },
  ];
}

/** Of the log's store first; what is in it where it is there. */
async function examineStore(settings: Settings): Promise<Finding[]> {
  const { REDIS_URL, UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, DATA_DIR, MONGODB_URI } = settings;
  const retentionMs = settings.REPLAY_RETENTION_MS;
  const isHere = isEmbedded(settings);
  const keeps = [...(isHere ? ["the log"] : []), ...(MONGODB_URI === undefined ? ["readings"] : [])];
  const logs: Probe[] = [
    ...(REDIS_URL === undefined ? [] : [redisProbe(REDIS_URL, retentionMs)]),
    ...(UPSTASH_REDIS_REST_URL === undefined || UPSTASH_REDIS_REST_TOKEN === undefined
      ? []
      : [redisRestProbe(UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, retentionMs)]),
    ...(keeps.length === 0 ? [] : [dataDirProbe(DATA_DIR, keeps.join(" and "))]),
  ];
  const telemetry = MONGODB_URI === undefined ? [] : examineAll(mongoDb(settings, MONGODB_URI));
  const found = await Promise.all(logs.map(examineAll));
  // The first of them is where the log is.
  const isThere = found[0]?.every(({ level }) => level !== "FAIL") ?? false;
  const hasContents = isThere && (!isHere || holdsStore(DATA_DIR));
  const contents = hasContents ? await Promise.all(contentsProbes(settings).map(examineAll)) : [];
  return [...found.flat(), ...(await telemetry), ...contents.flat()];
}

function mongoDb(settings: Settings, uri: string): Probe {
  return {
    // Without who comes and how: a password that was not encoded may hold any character.
    what: `MongoDB ${uri.replace(/:\/\/.*@/, "://***@").replace(/\?.*/, "")}`,
    next: "start it there, or correct MONGODB_URI (without it readings are kept in DATA_DIR)",
    limitMs: MONGODB_MS,
    async run() {
      // The driver takes its time to load, and most have no MongoDB.
      const { askMongoDb } = await import("./mongodb.ts");
      return askMongoDb(uri, settings);
    },
  };
}

/** What is not asked. */
function quiet(sources: readonly SourceConfig[]): Finding[] {
  const off = sources.filter(({ enabled }) => !enabled);
  const findings = off.map(
    (config): Finding => ({
      level: "note",
      what: `source ${describeSource(config)}`,
      text: "off",
    }),
  );
  if (sources.length > 0) return findings;
  const text = `${SOURCE_SWITCHES.join(", ")} are unset; npm start brings its own`;
  return [{ level: "note", what: "no broker", text }];
}
