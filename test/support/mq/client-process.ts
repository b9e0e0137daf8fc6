/** The child process of client.ts, which alone loads ibmmq: does what it is told, one MQI call a request, and says what came of it. */
import { readFileSync } from "node:fs";
import mq from "ibmmq";
import type { ConnectOptions, GetOptions, Got, PutOptions, Requests } from "./client.ts";

type Handle = unknown;

/** Connections and objects by number: handles do not leave the process. */
const kept: Handle[] = [];
const keep = (handle: Handle) => kept.push(handle) - 1;
const connectionOf = (id: number) => kept[id] as mq.MQQueueManager;
const objectOf = (id: number) => kept[id] as mq.MQObject;

const call = <T>(verb: (done: (error: mq.MQError | null, value: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    verb((error, value) => (error ? reject(error) : resolve(value)));
  });

function connect(options: ConnectOptions): Promise<number> {
  const cno = new mq.MQCNO();
  cno.Options = mq.MQC.MQCNO_CLIENT_BINDING | mq.MQC.MQCNO_RECONNECT_DISABLED;
  cno.ApplName = options.applName ?? "client";
  if (options.ccdt !== undefined) {
    cno.CCDTUrl = options.ccdt;
  } else {
    const cd = new mq.MQCD();
    cd.ConnectionName = options.address;
    cd.ChannelName = options.channel;
    if (options.cipher !== undefined) cd.SSLCipherSpec = options.cipher;
    cno.ClientConn = cd;
  }
  if (options.keyRepository !== undefined) {
    const sco = new mq.MQSCO();
    sco.KeyRepository = options.keyRepository;
    cno.SSLConfig = sco;
  }
  if (options.user !== undefined) {
    const csp = new mq.MQCSP();
    csp.UserId = options.user;
    csp.Password = options.password ?? "";
    cno.SecurityParms = csp;
  }
  return call<mq.MQQueueManager>((done) => mq.Connx(options.queueManager, cno, done)).then(keep);
}

function open(connection: number, name: string, options: number, type: number): Promise<number> {
  const od = new mq.MQOD();
  od.ObjectType = type;
  if (name !== "") od.ObjectName = name;
  return call<mq.MQObject>((done) => mq.Open(connectionOf(connection), od, options, done)).then(keep);
}

function descriptor({ priority, persistence, msgId, correlId, expiry }: PutOptions): mq.MQMD {
  const md = new mq.MQMD();
  if (priority !== undefined) md.Priority = priority;
  if (persistence !== undefined) md.Persistence = persistence;
  if (msgId !== undefined) md.MsgId = Buffer.from(msgId, "hex");
  if (correlId !== undefined) md.CorrelId = Buffer.from(correlId, "hex");
  if (expiry !== undefined) md.Expiry = expiry;
  return md;
}

async function put(
  connection: number,
  target: { object: number } | { queue: string },
  body: string,
  options: PutOptions,
): Promise<string> {
  const md = descriptor(options);
  const pmo = new mq.MQPMO();
  pmo.Options = options.options ?? mq.MQC.MQPMO_NO_SYNCPOINT;
  if (options.properties) {
    const handle = mq.CrtMh(connectionOf(connection), new mq.MQCMHO()) as unknown as bigint;
    for (const [name, value] of Object.entries(options.properties)) {
      mq.SetMp(connectionOf(connection), handle as never, new mq.MQSMPO(), name, new mq.MQPD(), value);
    }
    pmo.OriginalMsgHandle = handle as never;
  }
  if ("object" in target) {
    await call<void>((done) => mq.Put(objectOf(target.object), md, pmo, body, done as never));
  } else {
    const od = new mq.MQOD();
    od.ObjectName = target.queue;
    await call<void>((done) => mq.Put1(connectionOf(connection), od, md, pmo, body, done as never));
  }
  if (options.properties) mq.DltMh(connectionOf(connection), pmo.OriginalMsgHandle, new mq.MQDMHO());
  return (md.MsgId as Buffer).toString("hex");
}

/** All properties of a message handle: the first, then the next until there is none (2471). */
function propertiesOf(connection: mq.MQQueueManager, handle: bigint): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const impo = new mq.MQIMPO();
  impo.Options = mq.MQC.MQIMPO_INQ_FIRST;
  for (;;) {
    try {
      mq.InqMp(connection, handle as never, impo, new mq.MQPD(), "%", Buffer.alloc(1000), ((
        error: mq.MQError | null,
        name: string,
        value: unknown,
      ) => {
        if (error) throw error;
        found[name] = value;
      }) as never);
    } catch (error) {
      if ((error as mq.MQError).mqrc === mq.MQC.MQRC_PROPERTY_NOT_AVAILABLE) return found;
      throw error;
    }
    impo.Options = mq.MQC.MQIMPO_INQ_NEXT;
  }
}

function get(connection: number, object: number, options: GetOptions): Got {
  const md = new mq.MQMD();
  if (options.msgId !== undefined) md.MsgId = Buffer.from(options.msgId, "hex");
  if (options.correlId !== undefined) md.CorrelId = Buffer.from(options.correlId, "hex");
  const gmo = new mq.MQGMO();
  gmo.Options = options.options ?? mq.MQC.MQGMO_NO_SYNCPOINT;
  if (options.waitMs !== undefined) {
    gmo.Options |= mq.MQC.MQGMO_WAIT;
    gmo.WaitInterval = options.waitMs;
  }
  if (options.hasHandle) gmo.MsgHandle = mq.CrtMh(connectionOf(connection), new mq.MQCMHO()) as never;
  const buffer = Buffer.alloc(options.size ?? 10_000);
  let length = 0;
  let warning = 0;
  mq.GetSync(objectOf(object), md, gmo, buffer, ((error: mq.MQError | null, bytes: number) => {
    if (error && error.mqcc === mq.MQC.MQCC_FAILED) throw error;
    length = bytes;
    warning = error?.mqrc ?? 0;
  }) as never);
  return {
    ...{ length, warning },
    body: buffer.toString("utf8", 0, Math.min(length, buffer.length)),
    msgId: (md.MsgId as Buffer).toString("hex"),
    correlId: (md.CorrelId as Buffer).toString("hex"),
    backoutCount: md.BackoutCount as number,
    priority: md.Priority as number,
    persistence: md.Persistence as number,
    expiry: md.Expiry as number,
    user: String(md.UserIdentifier).trimEnd(),
    applName: String(md.PutApplName).trimEnd(),
    properties: options.hasHandle ? propertiesOf(connectionOf(connection), gmo.MsgHandle as never) : {},
  };
}

const requests: Requests = {
  connect,
  open,
  put,
  get: (connection, object, options) => Promise.resolve(get(connection, object, options)),
  async inquire(object, selectors) {
    const attributes = selectors.map((selector) => new mq.MQAttr(selector));
    mq.Inq(objectOf(object), attributes as never);
    return attributes.map(
      ({ value }) => (typeof value === "string" ? value.trim() : value) as string | number,
    );
  },
  commit: (connection) => call((done) => mq.Cmit(connectionOf(connection), done as never)),
  back: (connection) => call((done) => mq.Back(connectionOf(connection), done as never)),
  close: (object) => call((done) => mq.Close(objectOf(object), 0, done as never)),
  disconnect: (connection) => call((done) => mq.Disc(connectionOf(connection), done as never)),
  async library() {
    const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
    return maps.flatMap((line) => /\S*libmqm_r\.so$/.exec(line)?.[0] ?? []).at(0);
  },
};

process.on("message", async ({ id, name, args }: { id: number; name: keyof Requests; args: unknown[] }) => {
  try {
    const value = await (requests[name] as (...args: unknown[]) => Promise<unknown>)(...args);
    process.send!({ id, value });
  } catch (error) {
    const { mqrc, message } = error as mq.MQError;
    process.send!({ id, reason: mqrc, message });
  }
});
// A test that is gone needs it no more.
process.on("disconnect", () => process.exit());
