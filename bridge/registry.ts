/** The kinds of source there are. A new broker is one file in sources/, its settings in config.ts and one line here. */
import type { Logger } from "../functions/core/logger.ts";
import type { BrokerSource } from "../functions/ports/broker-source.ts";
import type { SourceConfig, SourceConfigs } from "./config/config.ts";
import { createDecode } from "./decode.ts";
import type { SourceEvents } from "./source-monitor.ts";
import { createFramedTcpSource } from "./sources/framed-tcp.ts";
import { createNatsCoreSource } from "./sources/nats-core.ts";
import { createNatsJetStreamSource } from "./sources/nats-jetstream.ts";

interface SourceDeps {
  readonly events: SourceEvents;
  readonly logger: Logger;
}

const SOURCES: {
  readonly [Kind in keyof SourceConfigs]: (config: SourceConfigs[Kind], deps: SourceDeps) => BrokerSource;
} = {
  nats: (config, deps) =>
    config.jetstream
      ? createNatsJetStreamSource({
          ...config,
          ...config.jetstream,
          ...deps,
          decode: decodeOf(config, "content"),
        })
      : createNatsCoreSource({ ...config, ...deps, decode: decodeOf(config, "random") }),
  "framed-tcp": (config, deps) =>
    createFramedTcpSource({ ...config, ...deps, decode: decodeOf(config, "random") }),
};

export function createSource(config: SourceConfig, deps: SourceDeps): BrokerSource {
  // The map's type has tied each kind to its config; the compiler cannot follow that through an index.
  const create = SOURCES[config.kind] as (config: SourceConfig, deps: SourceDeps) => BrokerSource;
  return create(config, deps);
}

/** @param lastResortId `content` where the broker delivers again what was not acked (decode.ts says why). */
function decodeOf({ kind, name, rules }: SourceConfig, lastResortId: "content" | "random") {
  return createDecode({ source: `/${kind}/${name}`, rules, lastResortId });
}
