/**
 * The process of one consumer: the only place that loads the native client for it. It gets from one queue in syncpoint, when told to,
 * and commits or backs out when told to. A get waits at most {@link WAIT_MS}, in which nothing is heard; while a unit of work is with
 * the bridge no get is running, so a commit is never late.
 *
 * Ends by `stop`, and by itself when the bridge is gone or a call fails. It always backs out first: disconnecting commits.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { listenToBridge } from "./commands.ts";
import { type Getter, type Got, openGetter, toMessage } from "./getter.ts";
import { connect, failureOf, type Hconn, loadMq, type Mq, resultOf } from "./mqi.ts";
import type { ConsumerCommand, ConsumerReport, MqMessage } from "./protocol.ts";

/** Milliseconds an empty queue is waited on at a time. */
const WAIT_MS = 500;
/** Bytes of one batch: with 500 messages of 4 MiB a unit of work would be 2 GiB. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Lost or ending: such a put says nothing of the queue it was for. */
const CONNECTION_REASONS = [2009, 2018, 2161, 2162, 2202, 2203];
/** Milliseconds between two looks at who else reads. */
const READERS_MS = 50;

let getter: Getter | undefined;
let isStopping = false;
let isCancelled = false;

const bridge = listenToBridge<ConsumerCommand, ConsumerReport>((command) => {
  if (command.do === "stop") isStopping = true;
  if (command.do === "cancel") isCancelled = true;
  if (command.do === "inquire-depth") report({ is: "depth", messages: depth() });
  return command.do === "cancel" || command.do === "inquire-depth";
});
const { report } = bridge;

let mq: Mq | undefined;
let hconn: Hconn | undefined;
/** Messages that the bridge was given and has not settled. */
let unsettled = 0;

try {
  for (let command = await bridge.next(); command; command = await bridge.next()) {
    if (command.do === "stop") break;
    if (command.do === "connect") {
      mq = await loadMq();
      hconn = connect(mq, command.connection);
      getter = openGetter(mq, hconn, command.queue);
      await outlast(getter, command.outlastMs);
      report({ is: "connected", queue: getter.facts });
    } else if (command.do === "fetch") {
      const messages = await collect(getter!, command.room);
      isCancelled = false;
      unsettled += messages.length;
      report({ is: "batch", messages });
    } else if (command.do === "commit") {
      commit();
    } else if (command.do === "back") {
      back();
    }
  }
} catch (error) {
  await report({ is: "failed", failure: failureOf(error) });
}
disconnect();
process.exit();

/**
 * Another reader may be what is left of a bridge that was killed, or a connection the queue manager has not given up yet: what it holds
 * would come behind what is got now. So it is let go first, where it does go.
 */
async function outlast(queue: Getter, ms: number): Promise<void> {
  const until = Date.now() + ms;
  while (queue.readers() > 1 && Date.now() < until && !isStopping && !bridge.isAlone) await sleep(READERS_MS);
}

async function collect(queue: Getter, room: number): Promise<MqMessage[]> {
  const messages: MqMessage[] = [];
  let bytes = 0;
  const isFull = () => messages.length >= room || bytes >= BATCH_BYTES;
  while (!isCancelled && !isStopping && !bridge.isAlone && !isFull()) {
    const isFirst = messages.length === 0;
    let got: Got | undefined;
    try {
      got = queue.get(isFirst ? WAIT_MS : 0);
    } catch (error) {
      // What was got before can still be stored; the next get says the same.
      if (isFirst) throw error;
      break;
    }
    if (got) {
      const message = settleWorn(queue, got, isFirst && unsettled === 0);
      if (message) messages.push(message);
      bytes += message?.body.byteLength ?? 0;
      // Backing out raises the count of every message of a unit of work: one that was backed out before is tried alone, so that only
      // the count of the one that is at fault goes on rising.
      if (got.md.BackoutCount > 0 && messages.length > 0) break;
    } else if (isFirst) {
      await bridge.hear();
    } else {
      break;
    }
  }
  return messages;
}

/**
 * Where a message was backed out too often it goes to the backout queue; one that cannot is handed on with the reason.
 * @param isAlone Nothing else is in the unit of work.
 * @returns undefined when it was moved.
 */
function settleWorn(queue: Getter, got: Got, isAlone: boolean): MqMessage | undefined {
  const { backoutThreshold: threshold, backoutQueue } = queue.facts;
  const count = got.md.BackoutCount;
  const handOn = (why?: string) =>
    toMessage(got, queue.properties(), why === undefined ? undefined : { count, threshold, why });
  if (threshold === 0 || count < threshold) return handOn();
  if (backoutQueue === "") return handOn("there is no BOQNAME");
  const messageId = got.md.MsgId.toString("hex");
  try {
    queue.moveTo(backoutQueue, got);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind !== "mqi" || CONNECTION_REASONS.includes(failure.reason)) throw error;
    return handOn(`${backoutQueue} did not take it: ${failure.reason} ${failure.name}`);
  }
  // With others it is committed when they are stored.
  if (isAlone) commit();
  report({ is: "moved", messageId, backoutCount: count, to: backoutQueue });
  return undefined;
}

function commit(): void {
  resultOf<void>((done) => mq!.Cmit(hconn!, done as never));
  unsettled = 0;
}

function back(): void {
  resultOf<void>((done) => mq!.Back(hconn!, done as never));
  unsettled = 0;
}

function depth(): number | undefined {
  try {
    return getter?.depth();
  } catch {
    return undefined;
  }
}

/** In this order, whatever fails: what is lost with the connection is backed out by the queue manager. */
function disconnect(): void {
  if (!mq || !hconn) return;
  mq.Back(hconn, () => {});
  getter?.close();
  mq.DiscSync(hconn, () => {});
}
