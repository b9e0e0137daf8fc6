/** MQINQ on a queue or the queue manager: the selectors the project asks for. Others are refused with 2067. */
import { CA, IA, OO, RC } from "./constants.ts";
import { type Answer, type Context, DONE, failed, INPUT } from "./verb.ts";
import { type FieldReader, writeFields } from "./wire.ts";

type Known = Readonly<Record<number, () => number | string>>;

/** Bytes of a name and of a description: texts come padded, one after the other. */
const NAME = 48;
const DESCRIPTION = 64;
const UNIX = 3;
const LOCAL_QUEUE = 1;

function ofQueue({ manager, countOpen }: Context, queue: string): Known {
  const attributes = manager.definitions.queues.get(queue)!;
  const number = (key: string) => () => Number(attributes[key]);
  const is = (key: string, value: string) => () => (attributes[key] === value ? 1 : 0);
  const name = (key: string) => () => attributes[key]!.padEnd(NAME);
  return {
    [IA.CURRENT_Q_DEPTH]: () => manager.store.depth(queue),
    [IA.DEF_PERSISTENCE]: is("DEFPSIST", "YES"),
    [IA.DEF_PRIORITY]: number("DEFPRTY"),
    [IA.INHIBIT_GET]: is("GET", "DISABLED"),
    [IA.INHIBIT_PUT]: is("PUT", "DISABLED"),
    [IA.MAX_MSG_LENGTH]: number("MAXMSGL"),
    [IA.MAX_Q_DEPTH]: number("MAXDEPTH"),
    [IA.OPEN_INPUT_COUNT]: () => countOpen(queue, INPUT),
    [IA.OPEN_OUTPUT_COUNT]: () => countOpen(queue, OO.OUTPUT),
    [IA.Q_TYPE]: () => LOCAL_QUEUE,
    [IA.BACKOUT_THRESHOLD]: number("BOTHRESH"),
    [IA.STREAM_QUEUE_QOS]: is("STRMQOS", "MUSTDUP"),
    [CA.Q_NAME]: () => queue.padEnd(NAME),
    [CA.Q_DESC]: () => attributes.DESCR!.padEnd(DESCRIPTION),
    [CA.BACKOUT_REQ_Q_NAME]: name("BOQNAME"),
    [CA.STREAM_QUEUE_NAME]: name("STREAMQ"),
  };
}

function ofQueueManager({ manager }: Context): Known {
  const attributes = manager.definitions.queueManager;
  return {
    [IA.CODED_CHAR_SET_ID]: () => manager.ccsid,
    [IA.MAX_MSG_LENGTH]: () => Number(attributes.MAXMSGL),
    [IA.PLATFORM]: () => UNIX,
    [CA.Q_MGR_NAME]: () => manager.name.padEnd(NAME),
    [CA.DEAD_LETTER_Q_NAME]: () => attributes.DEADQ!.padEnd(NAME),
  };
}

export function inquire(context: Context, fields: FieldReader): Answer {
  const handle = context.handles.get(fields.long());
  const selectors = fields.block();
  if (!handle) return failed(RC.HOBJ_ERROR);
  if (!(handle.options & OO.INQUIRE)) return failed(RC.NOT_OPEN_FOR_INQUIRE);
  const known = handle.queue === undefined ? ofQueueManager(context) : ofQueue(context, handle.queue);
  const values: (number | string)[] = [];
  for (let at = 0; at < selectors.length; at += 4) {
    const read = known[selectors.readInt32LE(at)];
    if (!read) return failed(RC.SELECTOR_ERROR);
    values.push(read());
  }
  const numbers = writeFields(values.filter((value) => typeof value === "number"));
  return { ...DONE, fields: [numbers, values.filter((value) => typeof value === "string").join("")] };
}
