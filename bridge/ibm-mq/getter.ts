/** Gets from one open queue, in syncpoint. */
import type * as Ibmmq from "ibmmq";
import { type Hconn, type Hobj, inquire, is, MAX_MESSAGE_BYTES, type Mq, open, resultOf } from "./mqi.ts";
import type { MqMessage, QueueFacts } from "./protocol.ts";

/** Bytes of the buffer that is kept; a larger message gets one of its own. */
const BUFFER_BYTES = 256 * 1024;
/**
 * A property set behind those of the message: MQSETMP adds one "after all other properties with a matching hierarchy" (IBM MQ 9.4,
 * MQSMPO_SET_FIRST). The hierarchy is `usr`, where applications set theirs.
 */
const LAST = "millrace_last";
/** Bytes of a property's value. */
const PROPERTY_BYTES = 32 * 1024;

export interface Got {
  readonly md: Ibmmq.MQMD;
  readonly body: Buffer;
}

export interface Getter {
  readonly facts: QueueFacts;
  /** @param waitMs How long to wait for a message. @returns undefined when there is none. */
  get(waitMs: number): Got | undefined;
  /** Of the message got last; then it can no longer be moved. */
  properties(): Record<string, string>;
  /** Puts the message got last to another queue, with its id, properties and body, in the same unit of work. */
  moveTo(queue: string, got: Got): void;
  depth(): number | undefined;
  /** Handles that are open for input, this one among them. */
  readers(): number;
  close(): void;
}

export function openGetter(mq: Mq, hconn: Hconn, queue: string): Getter {
  const { MQC } = mq;
  const hobj: Hobj = open(mq, hconn, queue, MQC.MQOO_INPUT_SHARED | MQC.MQOO_INQUIRE);
  const handle = resultOf<Ibmmq.HMSG>((done) => mq.CrtMh(hconn, new mq.MQCMHO(), done as never));
  const propertyBuffer = Buffer.alloc(PROPERTY_BYTES);
  let buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  const depth = () => {
    const messages = inquire(mq, hobj, MQC.MQIA_CURRENT_Q_DEPTH);
    return typeof messages === "number" ? messages : undefined;
  };

  return {
    facts: {
      depth: depth(),
      backoutThreshold: Math.max(0, Number(inquire(mq, hobj, MQC.MQIA_BACKOUT_THRESHOLD) ?? 0)),
      backoutQueue: String(inquire(mq, hobj, MQC.MQCA_BACKOUT_REQ_Q_NAME) ?? ""),
      streamQueue: String(inquire(mq, hobj, MQC.MQCA_STREAM_QUEUE_NAME) ?? ""),
    },
    depth,
    readers: () => Number(inquire(mq, hobj, MQC.MQIA_OPEN_INPUT_COUNT) ?? 1),
    get(waitMs) {
      for (;;) {
        // Both anew each time: what a get leaves in them would select the next message.
        const md = new mq.MQMD();
        const gmo = new mq.MQGMO();
        // No CONVERT: an audit copy stays what it is, byte for byte.
        gmo.Options =
          MQC.MQGMO_SYNCPOINT |
          MQC.MQGMO_FAIL_IF_QUIESCING |
          MQC.MQGMO_PROPERTIES_IN_HANDLE |
          (waitMs > 0 ? MQC.MQGMO_WAIT : MQC.MQGMO_NO_WAIT);
        gmo.WaitInterval = waitMs;
        gmo.MatchOptions = MQC.MQMO_NONE;
        gmo.MsgHandle = handle;
        let error: Ibmmq.MQError | null = null;
        let bytes = 0;
        mq.GetSync(hobj, md, gmo, buffer, (failed, length) => {
          error = failed;
          bytes = length;
        });
        const failed = error as Ibmmq.MQError | null;
        const isTruncated = is(failed, MQC.MQRC_TRUNCATED_MSG_FAILED);
        if (is(failed, MQC.MQRC_NO_MSG_AVAILABLE)) return undefined;
        if (isTruncated && buffer.length < MAX_MESSAGE_BYTES) {
          // It is still on the queue.
          buffer = Buffer.allocUnsafeSlow(Math.min(Math.max(bytes, buffer.length * 2), MAX_MESSAGE_BYTES));
          continue;
        }
        // With a warning the message has been taken all the same: whoever drops it here has lost it.
        if (failed && (isTruncated || failed.mqcc !== MQC.MQCC_WARNING)) throw failed;
        const body = Buffer.from(buffer.subarray(0, bytes));
        if (buffer.length > BUFFER_BYTES) buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
        return { md, body };
      }
    },
    properties() {
      const found: Record<string, string> = {};
      const impo = new mq.MQIMPO();
      const pd = new mq.MQPD();
      // To ask behind the last one would cost 1 KiB each time: where MQINQMP fails ibmmq 2.1.9 never frees the room for the name.
      // Without it the loop ends all the same.
      mq.SetMp(hconn, handle, new mq.MQSMPO(), LAST, pd, true, () => {});
      for (let option = MQC.MQIMPO_INQ_FIRST; ; option = MQC.MQIMPO_INQ_NEXT) {
        impo.Options = option | MQC.MQIMPO_CONVERT_VALUE;
        let isOver = true;
        mq.InqMp(hconn, handle, impo, pd, "%", propertyBuffer, (error, name, value) => {
          // With a warning (a value that cannot be converted) there are others behind it.
          isOver = error ? error.mqcc !== MQC.MQCC_WARNING : name === LAST;
          if (error || isOver) return;
          if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
            found[name] = String(value);
        });
        if (isOver) return found;
      }
    },
    moveTo(target, { md, body }) {
      const od = new mq.MQOD();
      od.ObjectType = MQC.MQOT_Q;
      od.ObjectName = target;
      const pmo = new mq.MQPMO();
      pmo.OriginalMsgHandle = handle;
      const put = (context: number) => {
        pmo.Options = MQC.MQPMO_SYNCPOINT | MQC.MQPMO_FAIL_IF_QUIESCING | context;
        resultOf<void>((done) => mq.Put1Sync(hconn, od, md, pmo, body, done as never));
      };
      try {
        // Who put it and when, where the bridge may say so.
        put(MQC.MQPMO_SET_ALL_CONTEXT);
      } catch (error) {
        const refused = [MQC.MQRC_NOT_AUTHORIZED, MQC.MQRC_NOT_OPEN_FOR_SET_ALL];
        if (!refused.some((reason) => is(error as Ibmmq.MQError, reason))) throw error;
        put(0);
      }
    },
    close() {
      mq.CloseSync(hobj, MQC.MQCO_NONE, () => {});
      mq.DltMh(hconn, handle, new mq.MQDMHO(), () => {});
    },
  };
}

/** As it goes to the bridge. Segments may share the MsgId of the message they are of: they are told apart by their offset. */
export function toMessage(
  { md, body }: Got,
  properties: MqMessage["properties"],
  worn: MqMessage["worn"],
): MqMessage {
  return {
    id: md.MsgId.toString("hex") + (md.Offset > 0 ? `.${md.Offset}` : ""),
    body,
    properties,
    format: String(md.Format),
    ccsid: Number(md.CodedCharSetId),
    putDate: md.PutDate,
    putTime: md.PutTime,
    worn,
  };
}
