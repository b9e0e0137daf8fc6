/** `kind: ibm-mq` in bridge.yaml: a stream queue of IBM MQ. */
import { z } from "zod";
import type { MqOptions } from "../ibm-mq/connection.ts";
import type { Problem, SourceKind } from "./kind.ts";
import { type CommonConfig, common, ruleKeys, text, whole } from "./rules.ts";

export interface IbmMqConfig extends CommonConfig, MqOptions {
  readonly kind: "ibm-mq";
  /** A stream queue: what is read from it is gone. */
  readonly queue: string;
  /** Messages in a unit of work, at most. */
  readonly batchMessages: number;
}

/** The stream queues of mqsc/. */
const QUEUES = ["AUDIT.TXN", "PROMO.FEED", "CENTRAL.SYNC"];
/** Where the payload says no time, an audit trail wants the moment of the put rather than that of the get. */
const TIME = [
  ...[{ field: "ts" }, { field: "time" }, { field: "timestamp" }],
  ...[{ header: "mq-put-time" }],
];

const name = (max: number) =>
  text(new RegExp(`^[A-Za-z0-9._/%]{1,${max}}$`), `1-${max} characters of A-Z a-z 0-9 . _ / %`);
const file = text(/./, "a path");

const schema = z.strictObject({
  kind: z.literal("ibm-mq"),
  ...common,
  queue: name(48),
  // The client library takes a colon in a connection name for the one before a port.
  host: text(/^[A-Za-z0-9._-]{1,253}$/, "a host name or an IPv4 address").optional(),
  port: whole(1, 65_535).optional(),
  queueManager: name(48).optional(),
  channel: name(20).optional(),
  user: text(/./, "a user").optional(),
  passwordFile: file.optional(),
  ccdt: text(/./, "a path or URL").optional(),
  tlsCipher: text(/^[A-Za-z0-9_]{1,64}$/, "a CipherSpec such as ANY_TLS12_OR_HIGHER").optional(),
  tlsKeyRepository: file.optional(),
  batchMessages: whole(50, 500).default(200),
  ...ruleKeys("header", "subjectToken"),
});

export const ibmMq: SourceKind<z.output<typeof schema>, IbmMqConfig> = {
  schema,
  defaults: ({ MQ_HOST, MQ_CCDT }) =>
    MQ_HOST || MQ_CCDT ? QUEUES.map((queue) => ({ kind: "ibm-mq", name: queue.toLowerCase(), queue })) : [],
  complete: ({ rules, ...given }, settings) => ({
    ...given,
    rules: { ...rules, time: rules.time ?? TIME },
    // What the file says of the two ways to a queue manager stands alone.
    host: given.host ?? (given.ccdt === undefined ? settings.MQ_HOST : undefined),
    ccdt: given.ccdt ?? (given.host === undefined ? settings.MQ_CCDT : undefined),
    port: given.port ?? settings.MQ_PORT ?? 1414,
    queueManager: given.queueManager ?? settings.MQ_QMGR ?? "QM1",
    channel: given.channel ?? settings.MQ_CHANNEL ?? "DEV.APP.SVRCONN",
    user: given.user ?? settings.MQ_USER ?? "app",
    password: settings.MQ_PASSWORD,
    passwordFile: given.passwordFile,
    tlsCipher: given.tlsCipher ?? settings.MQ_TLS_CIPHER,
    tlsKeyRepository: given.tlsKeyRepository ?? settings.MQ_TLS_KEY_REPOSITORY,
    tlsKeyPassword: settings.MQ_TLS_KEY_PASSWORD,
  }),
  problems(source, settings) {
    const problems: Problem[] = [];
    const say = (key: string, message: string) => problems.push({ path: [key], message });
    if (source.enabled === false) return problems;
    const { host, ccdt, tlsCipher, tlsKeyRepository } = source;
    if (host !== undefined && ccdt !== undefined) {
      say("ccdt", "is another way to the queue manager than host, expected one of them");
    }
    if ((host ?? ccdt) === undefined && !settings.MQ_HOST && !settings.MQ_CCDT) {
      say("host", "missing, expected it (or ccdt) here or in MQ_HOST (or MQ_CCDT)");
    }
    if ((tlsCipher ?? settings.MQ_TLS_CIPHER) && !(tlsKeyRepository ?? settings.MQ_TLS_KEY_REPOSITORY)) {
      say("tlsKeyRepository", "missing, expected it here or in MQ_TLS_KEY_REPOSITORY along with a cipher");
    }
    return problems;
  },
};
