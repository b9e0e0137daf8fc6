/** MQPUT and MQPUT1. */
import { OO, PMO, RC } from "./constants.ts";
import { resolveObject } from "./manager.ts";
import { type Answer, type Context, DONE, failed, KNOWN, maySetContext } from "./verb.ts";
import type { FieldReader } from "./wire.ts";

/** @param opened MQOO_ flags the queue was opened with. */
function putTo(
  { manager, unit, info, endingReason }: Context,
  queue: string,
  opened: number,
  fields: FieldReader,
): Answer {
  const md = Buffer.from(fields.block());
  const options = fields.long();
  const properties = Buffer.from(fields.block());
  const body = Buffer.from(fields.block());
  if (endingReason() && options & PMO.FAIL_IF_QUIESCING) return failed(endingReason());
  const isBoth = (options & PMO.SYNCPOINT) !== 0 && (options & PMO.NO_SYNCPOINT) !== 0;
  if (options & ~KNOWN.PMO || isBoth) return failed(RC.OPTIONS_ERROR);
  if (options & PMO.SET_ALL_CONTEXT && !(opened & OO.SET_ALL_CONTEXT)) return failed(RC.NOT_OPEN_FOR_SET_ALL);
  if (options & PMO.SET_IDENTITY_CONTEXT && !(opened & OO.SET_IDENTITY_CONTEXT)) {
    return failed(RC.NOT_OPEN_FOR_SET_IDENT);
  }
  const message = { md, properties, body, options, user: info.user, applName: info.applName };
  const reason = manager.put(queue, message, options & PMO.SYNCPOINT ? unit : undefined);
  return reason ? failed(reason) : { ...DONE, fields: [md, queue, manager.name] };
}

export function put(context: Context, fields: FieldReader): Answer {
  const handle = context.handles.get(fields.long());
  if (!handle) return failed(RC.HOBJ_ERROR);
  if (handle.queue === undefined || !(handle.options & OO.OUTPUT)) return failed(RC.NOT_OPEN_FOR_OUTPUT);
  return putTo(context, handle.queue, handle.options, fields);
}

export function put1(context: Context, fields: FieldReader): Answer {
  const object = resolveObject(context.manager, fields.long(), fields.text(), fields.text());
  if ("reason" in object) return failed(object.reason);
  const { queue } = object;
  if (queue === undefined) return failed(RC.OBJECT_TYPE_ERROR);
  if (!context.may(queue, "PUT")) return failed(RC.NOT_AUTHORIZED);
  // It opens for what its options ask, as far as the user may.
  const context1 =
    (maySetContext(context, queue, "SETALL") ? OO.SET_ALL_CONTEXT : 0) |
    (maySetContext(context, queue, "SETID") ? OO.SET_IDENTITY_CONTEXT : 0);
  return putTo(context, queue, OO.OUTPUT | context1, fields);
}
