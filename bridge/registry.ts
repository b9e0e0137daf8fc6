/** The kinds of source there are. A new broker is one file in sources/, its settings in config/ and one entry here. */
import type { Logger } from "../functions/core/logger.ts";
import type { BrokerSource, Decode } from "../functions/ports/broker-source.ts";
import type { SourceConfig, SourceConfigs } from "./config/config.ts";
import { createDecode, type DecodeOptions } from "./decode.ts";
import { companyOfChannel, mendChannelData, scopeOfChannel, typeOfChannel } from "./service-channels.ts";
import type { SourceEvents } from "./source-monitor.ts";
import { createFramedTcpSource } from "./sources/framed-tcp.ts";
import { createIbmMqSource } from "./sources/ibm-mq.ts";
import { createNatsCoreSource } from "./sources/nats-core.ts";
import { createNatsJetStreamSource } from "./sources/nats-jetstream.ts";
import { createRabbitMqSource } from "./sources/rabbitmq.ts";
import { createRedisPubSubSource } from "./sources/redis-pubsub.ts";

interface SourceDeps {
  readonly events: SourceEvents;
  readonly logger: Logger;
}

interface Kind<Config> {
  /** How its messages become events, where bridge.yaml has no rule: for what comes in, and for what is replayed. */
  decode(config: Config): DecodeDefaults;
  create(config: Config, deps: SourceDeps & { readonly decode: Decode }): BrokerSource;
}
type DecodeDefaults = Omit<DecodeOptions, "source" | "rules" | "received">;

/** `lastResortId` is `content` where the broker delivers again what was not acked (decode.ts says why). */
const KINDS: { readonly [Name in keyof SourceConfigs]: Kind<SourceConfigs[Name]> } = {
  nats: {
    decode: ({ jetstream }) => ({ lastResortId: jetstream ? "content" : "random" }),
    create: (config, deps) =>
      config.jetstream
        ? createNatsJetStreamSource({ ...config, ...config.jetstream, ...deps })
        : createNatsCoreSource({ ...config, ...deps }),
  },
  rabbitmq: {
    // Counters are by routing key, so its type is the key itself and not what core/subject.ts would make of it.
    decode: () => ({ lastResortId: "content", typeOf: (routingKey) => routingKey.toLowerCase() }),
    create: (config, deps) => createRabbitMqSource({ ...config, ...deps }),
  },
  "framed-tcp": {
    decode: ({ acks, rowCompany }) => ({ lastResortId: acks ? "content" : "random", rowCompany }),
    create: (config, deps) => createFramedTcpSource({ ...config, ...deps }),
  },
  "redis-pubsub": {
    // Not for redelivery, which there is none of: for a message on two channels, and for two bridges on one.
    decode: () => ({
      lastResortId: "content",
      typeOf: typeOfChannel,
      contentScope: scopeOfChannel,
      companyOf: companyOfChannel,
      mend: mendChannelData,
    }),
    create: (config, deps) => createRedisPubSubSource({ ...config, ...deps }),
  },
  "ibm-mq": {
    decode: () => ({ lastResortId: "content", binary: "preview" }),
    create: (config, deps) => createIbmMqSource({ ...config, ...deps }),
  },
};

/** Connects to nothing yet. */
export function createSource(config: SourceConfig, deps: SourceDeps): BrokerSource {
  return kindOf(config).create(config, { ...deps, decode: createSourceDecode(config) });
}

/** What the source decodes with. @param received For a message replayed: what it was given when it came. */
export function createSourceDecode(config: SourceConfig, received?: DecodeOptions["received"]): Decode {
  const { kind, name, rules } = config;
  return createDecode({ source: `/${kind}/${name}`, rules, received, ...kindOf(config).decode(config) });
}

/** The map's type has tied each kind to its config; the compiler cannot follow that through an index. */
function kindOf({ kind }: SourceConfig): Kind<SourceConfig> {
  return KINDS[kind] as Kind<SourceConfig>;
}
