/**
 * The process of one producer: puts in syncpoint, and commits when nothing more is waiting or enough is put. A put that fails ends it,
 * after what came before is committed.
 */
import type * as Ibmmq from "ibmmq";
import { listenToBridge } from "./commands.ts";
import { connect, failureOf, type Hconn, type Hobj, loadMq, type Mq, open, resultOf } from "./mqi.ts";
import type { ProducerCommand, ProducerReport } from "./protocol.ts";

/** Messages of one unit of work: a queue manager refuses those over its MAXUMSGS, and each holds log space. */
const UNIT_MESSAGES = 100;

type Put = ProducerCommand & { readonly do: "put" };

const { next, report, hear, waiting } = listenToBridge<ProducerCommand, ProducerReport>();
let mq: Mq | undefined;
let hconn: Hconn | undefined;
let handle: Ibmmq.HMSG | undefined;
const queues = new Map<string, Hobj>();
/** Of the last put. */
let queue: string | undefined;
/** Messages put and not committed. */
let unit = 0;

try {
  for (let command = await next(); command && command.do !== "stop"; command = await next()) {
    if (command.do === "connect") {
      mq = await loadMq();
      hconn = connect(mq, command.connection);
      handle = resultOf<Ibmmq.HMSG>((done) => mq!.CrtMh(hconn!, new mq!.MQCMHO(), done as never));
      await report({ is: "connected" });
    } else if (command.do === "put") {
      put(command);
      unit++;
      if (waiting() === 0) await hear();
      if (waiting() === 0 || unit >= UNIT_MESSAGES) await commit();
    }
  }
  await commit();
} catch (error) {
  const failure = await commit().then(
    () => failureOf(error),
    (commitError: unknown) => failureOf(commitError),
  );
  await report({ is: "failed", failure: failure.kind === "mqi" ? { ...failure, queue } : failure });
}
disconnect();
process.exit();

function put({ messageId, company, body, ...to }: Put): void {
  queue = to.queue;
  const { MQC } = mq!;
  const md = new mq!.MQMD();
  md.Format = MQC.MQFMT_STRING;
  md.CodedCharSetId = 1208 as Ibmmq.MQC_MQCCSI;
  md.Persistence = MQC.MQPER_PERSISTENT;
  md.MsgId = Buffer.from(messageId);
  const pmo = new mq!.MQPMO();
  pmo.Options = MQC.MQPMO_SYNCPOINT | MQC.MQPMO_FAIL_IF_QUIESCING;
  if (company !== undefined) {
    mq!.SetMp(hconn!, handle!, new mq!.MQSMPO(), "companyid", new mq!.MQPD(), company);
    pmo.OriginalMsgHandle = handle!;
  }
  let hobj = queues.get(queue);
  if (!hobj) {
    hobj = open(mq!, hconn!, queue, MQC.MQOO_OUTPUT);
    queues.set(queue, hobj);
  }
  const target = hobj;
  resultOf<void>((done) => mq!.PutSync(target, md, pmo, Buffer.from(body), done as never));
}

async function commit(): Promise<void> {
  if (unit === 0 || !mq || !hconn) return;
  const [{ Cmit }, connected, messages] = [mq, hconn, unit];
  unit = 0;
  resultOf<void>((done) => Cmit(connected, done as never));
  await report({ is: "committed", messages });
}

function disconnect(): void {
  if (!mq || !hconn) return;
  mq.Back(hconn, () => {});
  for (const hobj of queues.values()) mq.CloseSync(hobj, mq.MQC.MQCO_NONE, () => {});
  if (handle) mq.DltMh(hconn, handle, new mq.MQDMHO(), () => {});
  mq.DiscSync(hconn, () => {});
}
