/**
 * The calls of the native client, for the two processes that load it and nobody else: loaded into two threads of a process it aborts
 * it. All of them are synchronous, since such a process has nothing else to do; those of the package that are not lose messages.
 */
import type * as Ibmmq from "ibmmq";
import type { MqConnection } from "./connection.ts";
import type { MqFailure } from "./errors.ts";

export type Mq = typeof Ibmmq;
export type Hconn = Ibmmq.MQQueueManager;
export type Hobj = Ibmmq.MQObject;

/** Bytes: what a server-connection channel and a queue can be raised to. The channel's own MAXMSGL is what counts. */
export const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;

/** @throws an {@link MqFailure} where the package or IBM's client is missing. */
export async function loadMq(): Promise<Mq> {
  // It would start spans nobody collects, and use message handles of its own.
  process.env.MQIJS_NOOTEL = "1";
  try {
    const module = (await import("ibmmq")) as Mq & { readonly default?: Mq };
    return module.default ?? module;
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    const detail = String(message ?? error).split("\n")[0]!;
    const isPackage = code === "ERR_MODULE_NOT_FOUND" || /native build/i.test(detail);
    throw { kind: "missing", what: isPackage ? "package" : "library", detail } satisfies MqFailure;
  }
}

/** What a call threw, to be told to the bridge. */
export function failureOf(error: unknown): MqFailure {
  const { kind, mqrc, mqrcstr, verb } = error as Partial<Ibmmq.MQError> & Partial<MqFailure>;
  if (kind !== undefined) return error as MqFailure;
  if (typeof mqrc === "number") return { kind: "mqi", verb: verb ?? "", reason: mqrc, name: mqrcstr ?? "" };
  return { kind: "process", detail: String(error) };
}

/** Reconnecting is the bridge's: the client's own would lose what is in a unit of work without a word. */
export function connect(mq: Mq, connection: MqConnection): Hconn {
  const { MQC } = mq;
  const cno = new mq.MQCNO();
  cno.Options = MQC.MQCNO_CLIENT_BINDING | MQC.MQCNO_RECONNECT_DISABLED | MQC.MQCNO_HANDLE_SHARE_BLOCK;
  cno.ApplName = connection.application.slice(0, 28);
  if (connection.ccdt !== undefined) {
    cno.CCDTUrl = connection.ccdt;
  } else {
    const cd = new mq.MQCD();
    cd.ChannelName = connection.channel;
    cd.ConnectionName = `${connection.host}(${connection.port})`;
    cd.MaxMsgLength = MAX_MESSAGE_BYTES;
    if (connection.tlsCipher !== undefined) cd.SSLCipherSpec = connection.tlsCipher;
    cno.ClientConn = cd;
  }
  if (connection.tlsKeyRepository !== undefined) {
    const sco = new mq.MQSCO();
    sco.KeyRepository = connection.tlsKeyRepository;
    if (connection.tlsKeyPassword !== undefined) sco.KeyRepoPassword = connection.tlsKeyPassword;
    cno.SSLConfig = sco;
  }
  if (connection.password !== undefined) {
    const csp = new mq.MQCSP();
    csp.UserId = connection.user;
    csp.Password = connection.password;
    cno.SecurityParms = csp;
  }
  return resultOf<Hconn>((done) => mq.ConnxSync(connection.queueManager, cno, done));
}

/** @param options `MQOO_*`. */
export function open(mq: Mq, hconn: Hconn, queue: string, options: number): Hobj {
  const od = new mq.MQOD();
  od.ObjectType = mq.MQC.MQOT_Q;
  od.ObjectName = queue;
  return resultOf<Hobj>((done) =>
    mq.OpenSync(hconn, od, options | mq.MQC.MQOO_FAIL_IF_QUIESCING, done as never),
  );
}

/** @returns undefined where the queue (an alias, or one of an older queue manager) has no such attribute. */
export function inquire(
  mq: Mq,
  hobj: Hobj,
  selector: Ibmmq.MQC_MQIA | Ibmmq.MQC_MQCA,
): string | number | undefined {
  const attribute = new mq.MQAttr(selector);
  const { MQRC_SELECTOR_ERROR, MQRC_SELECTOR_NOT_FOR_TYPE } = mq.MQC;
  let failed: Ibmmq.MQError | null = null;
  mq.Inq(hobj, [attribute], (error) => {
    failed = error;
  });
  const error = failed as Ibmmq.MQError | null;
  if (error) {
    if (is(error, MQRC_SELECTOR_ERROR) || is(error, MQRC_SELECTOR_NOT_FOR_TYPE)) return undefined;
    throw error;
  }
  return typeof attribute.value === "string" ? attribute.value.trim() : attribute.value;
}

/** Whether a call ended for this reason. */
export function is(error: Ibmmq.MQError | null, reason: Ibmmq.MQC_MQRC): boolean {
  return (error?.mqrc as number | undefined) === (reason as number);
}

/** What a synchronous call hands to its callback. @throws what it hands over as an error. */
export function resultOf<T>(call: (done: (error: unknown, value: T) => void) => void): T {
  let outcome: { readonly error: unknown; readonly value: T } | undefined;
  call((error, value) => {
    outcome = { error, value };
  });
  if (outcome === undefined) throw new Error("a synchronous call did not answer");
  if (outcome.error) throw outcome.error;
  return outcome.value;
}
