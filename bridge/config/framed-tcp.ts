/** `kind: framed-tcp` in bridge.yaml. */
import { z } from "zod";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { SourceKind } from "./kind.ts";
import { type CommonConfig, common, ruleKeys, text, whole } from "./rules.ts";

export interface FramedTcpConfig extends CommonConfig {
  readonly kind: "framed-tcp";
  /** `host:port`. */
  readonly address: string;
  /** Messages taken and not stored. */
  readonly prefetch: number;
  /** At least once: the broker is to keep what is not acked. */
  readonly acks: boolean;
  /** Whose rows of GPU telemetry are that name no company; not in bridge.yaml, where `company` says it of all messages. */
  readonly rowCompany?: CompanyId;
}

const schema = z.strictObject({
  kind: z.literal("framed-tcp"),
  ...common,
  address: text(/^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, "host:port").optional(),
  prefetch: whole(1, 10_000).default(1000),
  acks: z.boolean("expected true or false").default(false),
  // The protocol has neither headers nor subjects.
  ...ruleKeys(),
});

export const framedTcp: SourceKind<z.output<typeof schema>, FramedTcpConfig> = {
  schema,
  defaults: ({ BROKER_ADDR }) => (BROKER_ADDR ? [{ kind: "framed-tcp", name: "framed-tcp" }] : []),
  complete: (given, { BROKER_ADDR }) => ({ ...given, address: given.address ?? BROKER_ADDR ?? "" }),
  problems: ({ enabled, address }, { BROKER_ADDR }) =>
    enabled !== false && address === undefined && !BROKER_ADDR
      ? [{ path: ["address"], message: "missing, expected it here or in BROKER_ADDR" }]
      : [],
};
