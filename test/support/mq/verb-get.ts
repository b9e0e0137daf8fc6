/** MQGET: from the top of a queue, or by id, at once or waiting. */
import { CC, GMO, MD, MO, RC } from "./constants.ts";
import type { Match, Message, Waiter } from "./messages.ts";
import { type Answer, type Context, DONE, failed, INPUT, KNOWN } from "./verb.ts";
import type { FieldReader } from "./wire.ts";

/** Milliseconds of the longest timer. */
const FOR_EVER = 2 ** 31 - 1;

interface Request {
  readonly queue: string;
  readonly options: number;
  readonly match: Match;
  readonly waitMs: number;
  readonly hasMessageHandle: boolean;
  /** Bytes of the program's buffer. */
  readonly size: number;
}

function readRequest({ handles }: Context, fields: FieldReader): Request | { readonly reason: number } {
  const handle = handles.get(fields.long());
  const md = fields.block();
  const [options, waitMs, matchOptions] = [fields.long(), fields.long(), fields.long()] as const;
  const [hasMessageHandle, size] = [fields.long() !== 0, fields.long()] as const;
  if (!handle) return { reason: RC.HOBJ_ERROR };
  const { queue } = handle;
  if (queue === undefined || !(handle.options & INPUT)) return { reason: RC.NOT_OPEN_FOR_INPUT };
  if (options & ~KNOWN.GMO) return { reason: RC.OPTIONS_ERROR };
  if (matchOptions & ~KNOWN.MO) return { reason: RC.MATCH_OPTIONS_ERROR };
  // An id of zeros stands for any (MQMI_NONE).
  const wanted = (flag: number, at: number) => {
    const id = Buffer.from(md.subarray(at, at + 24));
    return matchOptions & flag && id.some((byte) => byte !== 0) ? id : undefined;
  };
  const match = { msgId: wanted(MO.MSG_ID, MD.MSG_ID), correlId: wanted(MO.CORREL_ID, MD.CORREL_ID) };
  return { queue, options, match, waitMs, hasMessageHandle, size };
}

function give(
  { manager, unit }: Context,
  { options, size, hasMessageHandle }: Request,
  message: Message,
): Answer {
  const isCut = message.body.length > size;
  const isTaken = !isCut || (options & GMO.ACCEPT_TRUNCATED_MSG) !== 0;
  const isInUnit =
    (options & GMO.SYNCPOINT) !== 0 ||
    ((options & GMO.SYNCPOINT_IF_PERSISTENT) !== 0 && message.isPersistent);
  const md = Buffer.from(message.md);
  md.writeInt32LE(message.backoutCount, MD.BACKOUT_COUNT);
  if (message.expiresAt !== undefined) {
    md.writeInt32LE(Math.max(0, Math.ceil((message.expiresAt - Date.now()) / 100)), MD.EXPIRY);
  }
  if (isTaken) manager.take(message, isInUnit ? unit : undefined);
  const properties =
    hasMessageHandle && !(options & GMO.NO_PROPERTIES) ? message.properties : Buffer.alloc(0);
  const fields = [md, message.queue, message.body.length, properties, message.body.subarray(0, size)];
  if (!isCut) return { ...DONE, fields };
  return { code: CC.WARNING, reason: isTaken ? RC.TRUNCATED_MSG_ACCEPTED : RC.TRUNCATED_MSG_FAILED, fields };
}

/** An answer, or undefined: there is no message now. */
function attempt(context: Context, request: Request): Answer | undefined {
  const { manager, unit, endingReason } = context;
  const { queue, options, match } = request;
  if (endingReason() && options & GMO.FAIL_IF_QUIESCING) return failed(endingReason());
  if (manager.definitions.queues.get(queue)?.GET === "DISABLED") return failed(RC.GET_INHIBITED);
  const mayBeInUnit = (options & (GMO.SYNCPOINT | GMO.SYNCPOINT_IF_PERSISTENT)) !== 0;
  if (mayBeInUnit && unit.size >= manager.maxUncommitted()) return failed(RC.SYNCPOINT_LIMIT_REACHED);
  const message = manager.store.next(queue, match);
  return message && give(context, request, message);
}

/** @param onWait Given the waiter while the call waits, undefined when it is over. */
export function get(
  context: Context,
  fields: FieldReader,
  onWait: (waiter: Waiter | undefined) => void,
): Promise<Answer> | Answer {
  const request = readRequest(context, fields);
  if ("reason" in request) return failed(request.reason);
  const found = attempt(context, request);
  if (found) return found;
  const { queue, match, options, waitMs } = request;
  if (!(options & GMO.WAIT) || waitMs === 0) return failed(RC.NO_MSG_AVAILABLE);
  const { waiters } = context.manager.store;
  return new Promise((resolve) => {
    const settle = (answer: Answer) => {
      clearTimeout(timer);
      waiters.delete(waiter);
      onWait(undefined);
      resolve(answer);
    };
    const timer = setTimeout(() => settle(failed(RC.NO_MSG_AVAILABLE)), waitMs < 0 ? FOR_EVER : waitMs);
    const waiter: Waiter = {
      queue,
      match,
      wake() {
        const answer = attempt(context, request);
        if (answer) settle(answer);
      },
      cancel: () => settle(failed(RC.CONNECTION_BROKEN)),
    };
    waiters.add(waiter);
    onWait(waiter);
  });
}
