/** What config.ts has to know of one kind of source; the files beside it say it, one a kind. */
import type { z } from "zod";
import type { Settings } from "../../functions/core/settings.ts";
import type { DecodeRules } from "../decode.ts";
import type { CommonConfig } from "./rules.ts";

/** The settings that name a broker; one that is missing is unset. */
export type BrokerSettings = { readonly [Name in BrokerSetting]?: Settings[Name] | undefined };
export type BrokerSetting = Extract<
  keyof Settings,
  "BROKER_ADDR" | "AMQP_URL" | "REDIS_URL" | `MQ_${string}` | `NATS_${string}`
>;

/** What is wrong in bridge.yaml. */
export interface Problem {
  /** Of the value, from the top of the file. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A source as it stands in the file, valid or not. */
export type Unchecked = Readonly<Record<string, unknown>>;

export interface SourceKind<Given, Config extends CommonConfig> {
  /** Of one source in bridge.yaml. */
  readonly schema: z.ZodType<Given> & z.core.$ZodTypeDiscriminable;
  /** The sources there are when bridge.yaml mentions none of the kind: none where no setting names its broker. */
  defaults(settings: BrokerSettings): readonly Unchecked[];
  /** With what the settings say where bridge.yaml does not. */
  complete(given: Omit<Given, RuleKey> & { readonly rules: DecodeRules }, settings: BrokerSettings): Config;
  /** What no single value shows. The path is from the source on. */
  problems(source: Unchecked, settings: BrokerSettings): readonly Problem[];
}
export type RuleKey = "company" | "type" | "id" | "time";
