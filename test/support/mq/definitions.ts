/** The objects of the stand-in and the MQSC commands that make, change and show them. */
import * as kinds from "./mqsc-rules.ts";
import { MqscError, parseWords, type Word } from "./mqsc-text.ts";

export interface Definitions {
  readonly queues: ReadonlyMap<string, kinds.Attributes>;
  readonly channels: ReadonlyMap<string, kinds.Attributes>;
  readonly channelRules: readonly kinds.Attributes[];
  readonly queueManager: Readonly<kinds.Attributes>;
  /** Whether the user may, on a queue or (undefined) on the queue manager. */
  allows(user: string, queue: string | undefined, authority: string): boolean;
  /** Runs one command. Its answer as runmqsc prints it; throws an MqscError when it cannot be done. */
  run(text: string): { readonly answer: string; readonly isChange: boolean };
}

const fail = (code: string, what: string): never => {
  throw new MqscError(code, what);
};

export function createDefinitions(queueManagerName: string, depthOf: (queue: string) => number): Definitions {
  const queues = new Map<string, kinds.Attributes>();
  const channels = new Map<string, kinds.Attributes>();
  /** Entity, object type and profile to authorities. */
  const authorities = new Map<string, Set<string>>();
  let channelRules: kinds.Attributes[] = [];
  const queueManager = { ...kinds.QUEUE_MANAGER.defaults };
  const authorityKey = (entity: string, type: string, profile: string) => `${entity} ${type} ${profile}`;

  const defineObject = (
    objects: Map<string, kinds.Attributes>,
    kind: typeof kinds.QUEUE,
    name: string,
    words: readonly Word[],
  ) => {
    const isReplace = words.some(({ key }) => key === "REPLACE");
    const rest = words.filter(({ key }) => key !== "REPLACE" && key !== "NOREPLACE");
    const said = kinds.readAttributes(kind, rest);
    const known = objects.has(name);
    if (known && !isReplace) fail("AMQ8150E", `IBM MQ object ${name} already exists.`);
    return { attributes: { ...kind.defaults, ...said }, known };
  };

  /** IBM MQ, "Streaming queue restrictions": neither chains nor loops. An unknown one is refused too, to catch a slip. */
  const checkStream = (name: string, { STREAMQ = "" }: kinds.Attributes) => {
    if (STREAMQ === "") return;
    const target = queues.get(STREAMQ) ?? fail("AMQ8147E", `STREAMQ: IBM MQ object ${STREAMQ} not found.`);
    const feedsIt = [...queues].some(([other, { STREAMQ: to }]) => to === name && other !== name);
    if (STREAMQ === name || target.STREAMQ !== "" || feedsIt) {
      fail("AMQ8135E", `STREAMQ(${STREAMQ}): stream queues may neither chain nor loop.`);
    }
  };

  const show = (title: string, objects: readonly kinds.Attributes[], asked: readonly Word[]) => {
    const wanted = asked.map(({ key }) => key).filter((key) => key !== "ALL");
    return objects
      .map((object) => {
        const keys = Object.keys(object);
        const shown = wanted.length > 0 ? keys.filter((key, n) => n < 2 || wanted.includes(key)) : keys;
        const unknown = wanted.find((key) => !keys.includes(key));
        if (unknown) fail("AMQ8405I", `Keyword "${unknown}" is not valid here`);
        const cells = shown.map((key) => (key === "SHARE" ? object[key]! : `${key}(${object[key] || " "})`));
        const lines: string[] = [];
        for (let i = 0; i < cells.length; i += 2) {
          lines.push(`   ${cells[i]!.padEnd(40)}${cells[i + 1] ?? ""}`.trimEnd());
        }
        return [title, ...lines].join("\n");
      })
      .join("\n");
  };

  const nameOf = ({ key, values }: Word, most: number) =>
    kinds.name(most)(values ?? []) || fail("AMQ8405I", `${key}: a name is expected`);

  const ruleKey = (rule: kinds.Attributes) =>
    [rule.CHLAUTH, rule.TYPE, rule.ADDRESS, rule.CLNTUSER].join(" ");

  type Handler = (object: Word, words: readonly Word[]) => string;
  const changes: Readonly<Record<string, Handler>> = {
    "DEFINE QLOCAL": (object, words) => {
      const name = nameOf(object, 48);
      const { attributes, known } = defineObject(queues, kinds.QUEUE, name, words);
      checkStream(name, attributes);
      queues.set(name, attributes);
      return known ? "AMQ8008I: IBM MQ queue changed." : "AMQ8006I: IBM MQ queue created.";
    },
    "ALTER QLOCAL": (object, words) => {
      const name = nameOf(object, 48);
      const old = queues.get(name) ?? fail("AMQ8147E", `IBM MQ object ${name} not found.`);
      const attributes = { ...old, ...kinds.readAttributes(kinds.QUEUE, words) };
      checkStream(name, attributes);
      queues.set(name, attributes);
      return "AMQ8008I: IBM MQ queue changed.";
    },
    "DEFINE CHANNEL": (object, words) => {
      const name = nameOf(object, 20);
      if (words[0]?.key !== "CHLTYPE") fail("AMQ8405I", "CHLTYPE is expected after the name of the channel");
      const { attributes, known } = defineObject(channels, kinds.CHANNEL, name, words);
      channels.set(name, attributes);
      return known ? "AMQ8016I: IBM MQ channel changed." : "AMQ8014I: IBM MQ channel created.";
    },
    "ALTER CHANNEL": (object, words) => {
      const name = nameOf(object, 20);
      const old = channels.get(name) ?? fail("AMQ8147E", `IBM MQ object ${name} not found.`);
      if (words[0]?.key !== "CHLTYPE") fail("AMQ8405I", "CHLTYPE is expected after the name of the channel");
      channels.set(name, { ...old, ...kinds.readAttributes(kinds.CHANNEL, words) });
      return "AMQ8016I: IBM MQ channel changed.";
    },
    "ALTER QMGR": ({ values }, words) => {
      if (values) fail("AMQ8405I", "QMGR takes no name");
      const said = kinds.readAttributes(kinds.QUEUE_MANAGER, words);
      Object.assign(queueManager, said);
      return "AMQ8005I: IBM MQ queue manager changed.";
    },
    "SET AUTHREC": (_, words) => {
      const said = { ...kinds.AUTHORITY.defaults, ...kinds.readAttributes(kinds.AUTHORITY, words) };
      const { OBJTYPE = "", PROFILE = "", PRINCIPAL, GROUP, AUTHADD, AUTHRMV } = said;
      const entity = PRINCIPAL || GROUP || fail("AMQ8405I", "PRINCIPAL or GROUP is expected");
      if (PRINCIPAL && GROUP) fail("AMQ8405I", "PRINCIPAL or GROUP is expected, not both");
      if (OBJTYPE === "" || (OBJTYPE === "QUEUE") !== (PROFILE !== "")) {
        fail("AMQ8405I", "OBJTYPE(QMGR), or OBJTYPE(QUEUE) with PROFILE, is expected");
      }
      if (OBJTYPE === "QUEUE" && !queues.has(PROFILE))
        fail("AMQ8147E", `IBM MQ object ${PROFILE} not found.`);
      const key = authorityKey(entity, OBJTYPE, PROFILE);
      const held = authorities.get(key) ?? new Set();
      authorities.set(key, held);
      for (const authority of AUTHRMV?.split(",") ?? []) held.delete(authority);
      for (const authority of AUTHADD?.split(",") ?? [])
        if (authority && authority !== "NONE") held.add(authority);
      return "AMQ8862I: IBM MQ authority record set.";
    },
    "SET CHLAUTH": ({ values }, words) => {
      const said = { ...kinds.CHANNEL_RULE.defaults, ...kinds.readAttributes(kinds.CHANNEL_RULE, words) };
      const { ACTION, ...attributes } = said;
      const rule: kinds.Attributes = { CHLAUTH: values?.[0] ?? "", ...attributes };
      if (!rule.CHLAUTH || !rule.TYPE) fail("AMQ8405I", "a channel and a TYPE are expected");
      const needed = { ADDRESSMAP: "ADDRESS", USERMAP: "CLNTUSER", BLOCKUSER: "USERLIST" }[rule.TYPE!]!;
      if (!rule[needed]) fail("AMQ8405I", `${needed} is expected`);
      if (
        ACTION !== "REMOVE" &&
        (rule.USERSRC === "MAP") !== (rule.MCAUSER !== "") &&
        needed !== "USERLIST"
      ) {
        fail("AMQ8405I", "MCAUSER is expected with USERSRC(MAP), and only with it");
      }
      const others = channelRules.filter((other) => ruleKey(other) !== ruleKey(rule));
      const known = others.length < channelRules.length;
      if (ACTION === "REMOVE" && !known) fail("AMQ8884E", "Channel authentication record not found.");
      if (ACTION === "ADD" && known) fail("AMQ8885E", "Channel authentication record already exists.");
      channelRules = ACTION === "REMOVE" ? others : [...others, rule];
      return `AMQ8877I: IBM MQ channel authentication record ${ACTION === "REMOVE" ? "removed" : "set"}.`;
    },
    "REFRESH SECURITY": () => "AMQ8560I: IBM MQ security cache refreshed.",
  };
  const displays: Readonly<Record<string, Handler>> = {
    "DISPLAY QLOCAL": (object, words) => {
      const name = nameOf(object, 48);
      const queue = queues.get(name) ?? fail("AMQ8147E", `IBM MQ object ${name} not found.`);
      const object2 = { QUEUE: name, TYPE: "QLOCAL", ...queue, CURDEPTH: String(depthOf(name)) };
      return show("AMQ8409I: Display Queue details.", [object2], words);
    },
    "DISPLAY CHANNEL": (object, words) => {
      const name = nameOf(object, 20);
      const channel = channels.get(name) ?? fail("AMQ8147E", `IBM MQ object ${name} not found.`);
      return show("AMQ8414I: Display Channel details.", [{ CHANNEL: name, ...channel }], words);
    },
    "DISPLAY QMGR": (_, words) =>
      show(
        "AMQ8408I: Display Queue Manager details.",
        [{ QMNAME: queueManagerName, ...queueManager }],
        words,
      ),
    "DISPLAY AUTHREC": (_, words) => {
      const asked = kinds.readAttributes(kinds.AUTHORITY, words);
      const found = [...authorities].flatMap(([key, held]) => {
        const [entity = "", type = "", profile = ""] = key.split(" ");
        const isAsked =
          (asked.PRINCIPAL ?? entity) === entity &&
          (asked.OBJTYPE ?? type) === type &&
          (asked.PROFILE ?? profile) === profile;
        const record = { PROFILE: profile || "self", ENTITY: entity, ENTTYPE: "PRINCIPAL", OBJTYPE: type };
        return isAsked ? [{ ...record, AUTHLIST: [...held].sort().join(",") }] : [];
      });
      if (found.length === 0) fail("AMQ8459I", "Not found.");
      return show("AMQ8864I: Display authority record details.", found, []);
    },
    // ADDRESS and CLNTUSER select only with MATCH(RUNCHECK), which is not known here.
    "DISPLAY CHLAUTH": ({ values }, words) => {
      const type = words.find(({ key }) => key === "TYPE")?.values?.[0];
      const other = words.find(({ key }) => key !== "TYPE" && key !== "ALL");
      if (other) fail("AMQ8405I", `Keyword "${other.key}" is not valid here`);
      const found = channelRules.filter(
        ({ CHLAUTH, TYPE }) => CHLAUTH === values?.[0] && (type === undefined || TYPE === type),
      );
      if (found.length === 0) fail("AMQ8884E", "Channel authentication record not found.");
      return show("AMQ8878I: Display channel authentication record details.", found, []);
    },
  };

  return {
    queues,
    channels,
    get channelRules() {
      return channelRules;
    },
    queueManager,
    allows: (user, queue, authority) =>
      authorities
        .get(authorityKey(user, queue === undefined ? "QMGR" : "QUEUE", queue ?? ""))
        ?.has(authority) ?? false,
    run(text) {
      const [verb, object, ...words] = parseWords(text);
      const what = `${verb?.key} ${object?.key}`;
      const change = changes[what];
      const handler = change ?? displays[what];
      if (!handler || verb?.values)
        return fail("AMQ8405I", `Syntax error: "${what}" is not known to the stand-in`);
      return { answer: handler(object!, words), isChange: change !== undefined };
    },
  };
}
