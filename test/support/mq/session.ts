/** One connection to the stand-in: its handles, its unit of work, and which verb does what. */
import { admit } from "./access.ts";
import { OO, RC, type Verb } from "./constants.ts";
import { type Manager, type OpenHandle, resolveObject } from "./manager.ts";
import type { Waiter } from "./messages.ts";
import { type Answer, type Context, DONE, failed, INPUT, KNOWN, maySetContext } from "./verb.ts";
import { get } from "./verb-get.ts";
import { inquire } from "./verb-inquire.ts";
import { put, put1 } from "./verb-put.ts";
import type { FieldReader } from "./wire.ts";

/** How a queue manager ends: as `endmqm -w` and as `endmqm -i`. */
export type Ending = "quiescing" | "stopping";

export interface Session {
  /** An empty user: not connected. */
  readonly info: { readonly user: string; readonly channel: string; readonly applName: string };
  readonly uncommitted: { readonly puts: number; readonly gets: number };
  /** Does the verb. Never throws for what a program did wrong. */
  handle(verb: Verb, fields: FieldReader): Promise<Answer> | Answer;
  /** The queue manager begins to end: a waiting get is told. */
  wake(): void;
  /** The connection is gone: the unit of work is backed out. */
  end(): void;
}

/** @param ending Undefined while the queue manager runs. */
export function createSession(
  manager: Manager,
  ending: () => Ending | undefined,
  passwords: Readonly<Record<string, string>>,
): Session {
  const { definitions } = manager;
  const unit = manager.begin();
  const handles = new Map<number, OpenHandle>();
  const info = { user: "", channel: "", applName: "" };
  let lastHandle = 100;
  let waiter: Waiter | undefined;

  const context: Context = {
    ...{ manager, unit, handles, info },
    endingReason() {
      const how = ending();
      if (how === "stopping") return RC.Q_MGR_STOPPING;
      return how === "quiescing" ? RC.Q_MGR_QUIESCING : RC.NONE;
    },
    may: (queue, authority) => definitions.allows(info.user, queue, authority),
    countOpen: (queue, flags) =>
      [...manager.opened].filter((handle) => handle.queue === queue && handle.options & flags).length,
  };
  const { endingReason, may, countOpen } = context;

  const connect = (fields: FieldReader): Answer => {
    const [queueManager, channel, cipher] = [fields.text(), fields.text(), fields.text()];
    const [keyRepository, ccdt, user, password] = [
      fields.text(),
      fields.text(),
      fields.text(),
      fields.text(),
    ];
    const applName = fields.text();
    if (endingReason()) return failed(endingReason());
    const request = { queueManager, channel, cipher, keyRepository, ccdt, user, password };
    const admitted = admit(request, manager.name, definitions, passwords);
    if ("reason" in admitted) return failed(admitted.reason);
    Object.assign(info, admitted, { applName: applName || "node" });
    return DONE;
  };

  const mayOpen = (queue: string | undefined, options: number): boolean =>
    (!(options & INPUT) || may(queue, "GET")) &&
    (!(options & OO.OUTPUT) || may(queue, "PUT")) &&
    (!(options & OO.INQUIRE) || may(queue, "INQ")) &&
    (!(options & OO.SET_ALL_CONTEXT) || maySetContext(context, queue, "SETALL")) &&
    (!(options & OO.SET_IDENTITY_CONTEXT) || maySetContext(context, queue, "SETID"));

  /** Whether another handle's input and this one's exclude each other. */
  const isInUse = (queue: string, options: number): boolean => {
    const { DEFSOPT, SHARE } = definitions.queues.get(queue)!;
    const isExclusive =
      SHARE === "NOSHARE" ||
      (options & OO.INPUT_EXCLUSIVE) !== 0 ||
      ((options & OO.INPUT_AS_Q_DEF) !== 0 && DEFSOPT === "EXCL");
    return countOpen(queue, isExclusive ? INPUT : OO.INPUT_EXCLUSIVE) > 0;
  };

  const open = (fields: FieldReader): Answer => {
    const object = resolveObject(manager, fields.long(), fields.text(), fields.text());
    const options = fields.long();
    if (endingReason() && options & OO.FAIL_IF_QUIESCING) return failed(endingReason());
    if ("reason" in object) return failed(object.reason);
    const { queue } = object;
    const isForSomething = (options & (INPUT | OO.OUTPUT | OO.INQUIRE)) !== 0;
    if (options & ~KNOWN.OO || !isForSomething) return failed(RC.OPTIONS_ERROR);
    if (!mayOpen(queue, options)) return failed(RC.NOT_AUTHORIZED);
    if (queue !== undefined && options & INPUT && isInUse(queue, options)) return failed(RC.OBJECT_IN_USE);
    const handle = { queue, options };
    handles.set(++lastHandle, handle);
    manager.opened.add(handle);
    return { ...DONE, fields: [lastHandle, queue ?? "", manager.name] };
  };

  const close = (fields: FieldReader): Answer => {
    const number = fields.long();
    const handle = handles.get(number);
    if (!handle) return failed(RC.HOBJ_ERROR);
    handles.delete(number);
    manager.opened.delete(handle);
    return DONE;
  };

  const commit = (): Answer => {
    manager.commit(unit);
    return DONE;
  };

  const backOut = (): Answer => {
    manager.backOut(unit);
    return DONE;
  };

  const verbs: Readonly<Record<Verb, (fields: FieldReader) => Promise<Answer> | Answer>> = {
    MQCONNX: connect,
    // MQDISC commits (IBM MQ, "MQDISC - Disconnect queue manager").
    MQDISC: commit,
    MQOPEN: open,
    MQCLOSE: close,
    MQPUT: (fields) => put(context, fields),
    MQPUT1: (fields) => put1(context, fields),
    MQGET: (fields) =>
      get(context, fields, (waits) => {
        waiter = waits;
      }),
    MQINQ: (fields) => inquire(context, fields),
    MQCMIT: commit,
    MQBACK: backOut,
  };
  return {
    info,
    get uncommitted() {
      return { puts: unit.puts.length, gets: unit.gets.length };
    },
    handle(verb, fields) {
      if (verb !== "MQCONNX" && info.user === "") return failed(RC.CONNECTION_BROKEN);
      // An immediate end does nothing more for anybody.
      return ending() === "stopping" ? failed(RC.Q_MGR_STOPPING) : verbs[verb](fields);
    },
    wake: () => waiter?.wake(),
    end() {
      waiter?.cancel();
      for (const handle of handles.values()) manager.opened.delete(handle);
      manager.backOut(unit);
    },
  };
}
