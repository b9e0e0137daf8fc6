/** The keywords the stand-in knows of each object, what each may say, and what it is when nothing is said. All others are refused. */
import { MqscError, type Word } from "./mqsc-text.ts";

type Rule = (values: readonly string[]) => string;

/** An object's attributes as DISPLAY prints them. */
export type Attributes = Record<string, string>;

const refuse = (what: string): never => {
  throw new MqscError("AMQ8405I", what);
};

const only = (values: readonly string[]): string =>
  values.length > 1 ? refuse(`one value is expected, not ${values.join(",")}`) : (values[0] ?? "");

const oneOf =
  (...choices: string[]): Rule =>
  (values) =>
    choices.includes(only(values))
      ? only(values)
      : refuse(`"${only(values)}" is not one of ${choices.join(", ")}`);

const number =
  (least: number, most: number, ...words: string[]): Rule =>
  (values) => {
    const text = only(values);
    if (words.includes(text)) return text;
    const isIn = /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
    return isIn ? String(Number(text)) : refuse(`"${text}" is not a number from ${least} to ${most}`);
  };

const text =
  (most: number): Rule =>
  (values) =>
    only(values).length <= most ? only(values) : refuse(`"${only(values)}" is longer than ${most}`);

export const name =
  (most: number): Rule =>
  (values) =>
    /^[A-Za-z0-9._/%]*$/.test(only(values)) && only(values).length <= most
      ? only(values)
      : refuse(`"${only(values)}" is no name of at most ${most} characters`);

const listOf =
  (...choices: string[]): Rule =>
  (values) =>
    values.map((value) => oneOf(...choices)([value])).join(",");

const switched = oneOf("ENABLED", "DISABLED");
/** Bytes of a message, at most. IBM MQ takes no more. */
const LARGEST = 104_857_600;

interface Kind {
  readonly rules: Readonly<Record<string, Rule>>;
  readonly defaults: Attributes;
  /** Keywords without brackets, and the attribute each sets. */
  readonly flags?: Readonly<Record<string, string>>;
}

export const QUEUE: Kind = {
  rules: {
    DESCR: text(64),
    MAXDEPTH: number(0, 999_999_999),
    MAXMSGL: number(0, LARGEST),
    DEFPSIST: oneOf("YES", "NO"),
    DEFPRTY: number(0, 9),
    DEFSOPT: oneOf("SHARED", "EXCL"),
    PUT: switched,
    GET: switched,
    BOTHRESH: number(0, 999_999_999),
    BOQNAME: name(48),
    STREAMQ: name(48),
    STRMQOS: oneOf("BESTEF", "MUSTDUP"),
    QDEPTHHI: number(0, 100),
    QDEPTHLO: number(0, 100),
    QDPMAXEV: switched,
    QDPHIEV: switched,
    QDPLOEV: switched,
    MSGDLVSQ: oneOf("PRIORITY", "FIFO"),
    PROPCTL: oneOf("COMPAT", "NONE", "ALL", "FORCE", "V6COMPAT"),
    USAGE: oneOf("NORMAL"),
  },
  flags: { SHARE: "SHARE", NOSHARE: "SHARE" },
  defaults: {
    ...{ DESCR: "", MAXDEPTH: "5000", MAXMSGL: "4194304", DEFPSIST: "NO", DEFPRTY: "0", DEFSOPT: "SHARED" },
    ...{ PUT: "ENABLED", GET: "ENABLED", BOTHRESH: "0", BOQNAME: "", STREAMQ: "", STRMQOS: "BESTEF" },
    ...{ QDEPTHHI: "80", QDEPTHLO: "20", QDPMAXEV: "ENABLED", QDPHIEV: "DISABLED", QDPLOEV: "DISABLED" },
    ...{ MSGDLVSQ: "PRIORITY", PROPCTL: "COMPAT", USAGE: "NORMAL", SHARE: "SHARE" },
  },
};

export const CHANNEL: Kind = {
  rules: {
    CHLTYPE: oneOf("SVRCONN"),
    TRPTYPE: oneOf("TCP"),
    DESCR: text(64),
    MCAUSER: text(64),
    MAXINST: number(0, 999_999_999),
    MAXINSTC: number(0, 999_999_999),
    SHARECNV: number(0, 999_999_999),
    MAXMSGL: number(0, LARGEST),
    HBINT: number(0, 999_999),
    SSLCIPH: text(32),
    SSLCAUTH: oneOf("REQUIRED", "OPTIONAL"),
  },
  defaults: {
    ...{ CHLTYPE: "", TRPTYPE: "TCP", DESCR: "", MCAUSER: "", MAXINST: "999999999", MAXINSTC: "999999999" },
    ...{ SHARECNV: "10", MAXMSGL: "4194304", HBINT: "300", SSLCIPH: "", SSLCAUTH: "REQUIRED" },
  },
};

export const QUEUE_MANAGER: Kind = {
  rules: {
    DESCR: text(64),
    DEADQ: name(48),
    PERFMEV: switched,
    CHLAUTH: switched,
    MAXMSGL: number(32_768, LARGEST),
    MAXUMSGS: number(1, 999_999_999),
  },
  defaults: {
    ...{ DESCR: "", DEADQ: "", PERFMEV: "DISABLED", CHLAUTH: "ENABLED" },
    ...{ MAXMSGL: "4194304", MAXUMSGS: "10000" },
  },
};

const AUTHORITIES = listOf(
  ...["CONNECT", "INQ", "GET", "PUT", "BROWSE", "SET", "DSP", "PASSALL", "PASSID", "SETALL", "SETID", "NONE"],
);

export const AUTHORITY: Kind = {
  rules: {
    PROFILE: name(48),
    OBJTYPE: oneOf("QUEUE", "QMGR"),
    PRINCIPAL: text(64),
    GROUP: text(64),
    AUTHADD: AUTHORITIES,
    AUTHRMV: AUTHORITIES,
  },
  defaults: { PROFILE: "", OBJTYPE: "", PRINCIPAL: "", GROUP: "", AUTHADD: "", AUTHRMV: "" },
};

export const CHANNEL_RULE: Kind = {
  rules: {
    TYPE: oneOf("ADDRESSMAP", "USERMAP", "BLOCKUSER"),
    ADDRESS: text(264),
    CLNTUSER: text(64),
    USERLIST: (values) => values.join(","),
    USERSRC: oneOf("MAP", "CHANNEL", "NOACCESS"),
    MCAUSER: text(64),
    CHCKCLNT: oneOf("ASQMGR", "REQUIRED", "REQDADM"),
    DESCR: text(64),
    ACTION: oneOf("ADD", "REPLACE", "REMOVE"),
  },
  defaults: {
    ...{ TYPE: "", DESCR: "", ADDRESS: "", CLNTUSER: "", USERLIST: "", USERSRC: "MAP", MCAUSER: "" },
    ...{ CHCKCLNT: "ASQMGR", ACTION: "ADD" },
  },
};

/** What the words say. Throws an MqscError for a keyword or value that is not known, or a keyword said twice. */
export function readAttributes({ rules, flags = {} }: Kind, words: readonly Word[]): Attributes {
  const said: Attributes = {};
  for (const { key, values } of words) {
    const rule = rules[key];
    const attribute = values === undefined ? flags[key] : key;
    if (attribute === undefined || (values !== undefined && !rule))
      return refuse(`Keyword "${key}" is not valid here`);
    if (attribute in said) refuse(`Keyword "${key}" is given twice`);
    try {
      said[attribute] = values === undefined ? key : rule!(values);
    } catch (error) {
      if (error instanceof MqscError) refuse(`${key}: ${error.message}`);
      throw error;
    }
  }
  return said;
}
