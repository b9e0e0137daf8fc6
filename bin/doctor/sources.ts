/** The sources: what each kind asks its broker. */
import type { SourceConfig, SourceConfigs } from "../../bridge/config/config.ts";
import type { Probed } from "../../bridge/probes/counted.ts";
import { probeFramedTcp } from "../../bridge/probes/framed-tcp.ts";
import { probeIbmMq } from "../../bridge/probes/ibm-mq.ts";
import { probeNats } from "../../bridge/probes/nats.ts";
import { probeRabbitMq } from "../../bridge/probes/rabbitmq.ts";
import { probeRedisPubSub } from "../../bridge/probes/redis-pubsub.ts";
import { describeSource } from "../bridge-file.ts";
import type { SettingName } from "../context.ts";
import type { Probe } from "./examine.ts";

type ProbeOf<Config> = (config: Config, signal: AbortSignal) => Promise<Probed>;
/** What each kind of source is asked. */
const SOURCES: {
  readonly [Kind in keyof SourceConfigs]: {
    readonly setting: SettingName;
    readonly run: ProbeOf<SourceConfigs[Kind]>;
  };
} = {
  nats: { setting: "NATS_URL", run: probeNats },
  rabbitmq: { setting: "AMQP_URL", run: probeRabbitMq },
  "framed-tcp": { setting: "BROKER_ADDR", run: probeFramedTcp },
  "redis-pubsub": { setting: "REDIS_URL", run: probeRedisPubSub },
  "ibm-mq": { setting: "MQ_HOST", run: probeIbmMq },
};

export function sourceProbe(config: SourceConfig): Probe {
  const { setting, run } = SOURCES[config.kind];
  return {
    what: `source ${describeSource(config)}`,
    next: `start it there, or correct ${setting} or the source in bridge.yaml`,
    async run(signal) {
      // The map's type has tied each kind to its config; the compiler cannot follow that through an index.
      const probed = await (run as ProbeOf<SourceConfig>)(config, signal);
      if (typeof probed === "string") return probed;
      return [probed.found, ...probed.notes.map((note) => ({ note }))];
    },
  };
}
