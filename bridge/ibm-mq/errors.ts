/** What went wrong at a queue manager, as an error an operator can act on. Reason codes: IBM MQ, "API completion and reason codes". */
import { type ErrorCode, MillraceError } from "../../functions/core/errors.ts";
import { describeAddress, type MqOptions } from "./connection.ts";

/** A call that failed, as the process that made it tells. */
export type MqFailure =
  | {
      readonly kind: "mqi";
      readonly verb: string;
      readonly reason: number;
      readonly name: string;
      /** Where it is not the only one of the process. */
      readonly queue?: string | undefined;
    }
  /** `package`: ibmmq is not installed. `library`: IBM's client is not there. */
  | { readonly kind: "missing"; readonly what: "package" | "library"; readonly detail: string }
  /** It threw, was killed, or crashed. */
  | { readonly kind: "process"; readonly detail: string };

/** What a failure is told with. */
export interface MqContext
  extends Pick<MqOptions, "host" | "port" | "ccdt" | "channel" | "queueManager" | "user"> {
  /** Whether a password was given. */
  readonly hasPassword: boolean;
  readonly queue: string | undefined;
  /** What it takes to use the queue, as `SET AUTHREC` has it. */
  readonly rights: "GET,INQ" | "PUT";
}

interface Diagnosis {
  readonly code: ErrorCode;
  /** What is expected, and so what to look at. */
  readonly expected: string;
}

type Diagnose = (context: MqContext, verb: string) => Diagnosis;

const TLS: Diagnose = () => ({
  code: "invalid-settings",
  expected:
    "MQ_TLS_CIPHER to be the channel's SSLCIPH, and MQ_TLS_KEY_REPOSITORY to be a key repository (with MQ_TLS_KEY_PASSWORD) that trusts the queue manager's certificate",
});

const UNREACHABLE: Diagnose = ({ host, port, ccdt }) => ({
  code: "unavailable",
  expected: ccdt
    ? `a queue manager that listens where ${ccdt} says (check MQ_CCDT and, there, DISPLAY LSSTATUS(*))`
    : `a queue manager that listens at host "${host}", port ${port} (check MQ_HOST, MQ_PORT and, there, DISPLAY LSSTATUS(*))`,
});

const BROKEN: Diagnose = () => ({ code: "unavailable", expected: "a connection that lasts" });

const STOPPING: Diagnose = () => ({
  code: "unavailable",
  expected: "it to start again: the queue manager, or this connection to it, is being stopped",
});

const CHANNEL: Diagnose = (context) => ({
  code: "invalid-settings",
  expected: `${channelOf(context)} to be a server-connection channel there (check MQ_CHANNEL and, there, DISPLAY CHANNEL(*))`,
});

const REASONS: Readonly<Record<number, Diagnose>> = {
  2035: notAuthorized,
  2063: notAuthorized,
  2085: ({ queue, queueManager }) => ({
    code: "invalid-settings",
    expected: `queue "${queue}" to exist on ${queueManager}: run infra/mq/configure.sh, which applies mqsc/`,
  }),
  2082: ({ queue }) => ({
    code: "invalid-settings",
    expected: `the queue that "${queue}" is an alias of to exist`,
  }),
  2052: ({ queue }) => ({
    code: "unavailable",
    expected: `queue "${queue}", which was deleted, to be there`,
  }),
  2058: ({ queueManager }) => ({
    code: "invalid-settings",
    expected: `a queue manager of the name "${queueManager}" there (check MQ_QMGR)`,
  }),
  2059: UNREACHABLE,
  2538: UNREACHABLE,
  2009: BROKEN,
  2278: BROKEN,
  2003: () => ({
    code: "unavailable",
    expected: "a unit of work that is not backed out by the queue manager",
  }),
  2161: STOPPING,
  2162: STOPPING,
  2202: STOPPING,
  2203: STOPPING,
  2016: ({ queue }) => ({
    code: "unavailable",
    expected: `gets to be allowed: ALTER QLOCAL(${queue}) GET(ENABLED)`,
  }),
  2042: ({ queue }) => ({
    code: "unavailable",
    expected: `queue "${queue}" not to be open for exclusive use (DISPLAY QSTATUS(${queue}) TYPE(HANDLE))`,
  }),
  2051: ({ queue }) => ({
    code: "unavailable",
    expected: `puts to be allowed: ALTER QLOCAL(${queue}) PUT(ENABLED)`,
  }),
  2053: ({ queue }) => ({
    code: "unavailable",
    expected: `room on queue "${queue}", and on its stream queue where STRMQOS is MUSTDUP: is the bridge running?`,
  }),
  2218: (context) => ({
    code: "invalid-settings",
    expected: `the MAXMSGL of ${channelOf(context)} to be at least that of queue "${context.queue}": ALTER CHANNEL(...) CHLTYPE(SVRCONN) MAXMSGL(...)`,
  }),
  2537: (context) => ({
    code: "unavailable",
    expected: `${channelOf(context)} to be started and below its MAXINST and MAXINSTC`,
  }),
  2539: CHANNEL,
  2540: CHANNEL,
  2600: ({ ccdt }) => ({
    code: "invalid-settings",
    expected: `a client channel definition table at ${ccdt} that can be read (check MQ_CCDT)`,
  }),
  2381: TLS,
  2393: TLS,
  2396: TLS,
  2397: TLS,
  2398: TLS,
  2400: TLS,
};

const VERBS: Readonly<Record<string, string>> = {
  CONNX: "connect",
  OPEN: "open",
  INQ: "inquire about",
  GET: "get from",
  CMIT: "commit what was taken from",
  BACK: "back out what was taken from",
  PUT: "put to",
  PUT1: "put to",
};

/** @returns `unavailable` where waiting may help, else what an operator has to mend. */
export function mqError(failure: MqFailure, given: MqContext): MillraceError {
  if (failure.kind === "missing") return missingError(failure);
  const context = failure.kind === "mqi" && failure.queue ? { ...given, queue: failure.queue } : given;
  const at = `IBM MQ "${context.queueManager}" at ${describeAddress(context)}`;
  if (failure.kind === "process") {
    return new MillraceError(
      "unavailable",
      `Cannot use ${at}: the process that holds the connection ended (${failure.detail}), expected it to run`,
    );
  }
  const { verb, reason, name } = failure;
  const diagnosis = REASONS[reason]?.(context, verb) ?? {
    code: "unavailable" as const,
    expected: `it to be done (mqrc ${reason} explains)`,
  };
  const doing = VERBS[verb] ?? verb;
  const what =
    verb === "CONNX" || context.queue === undefined
      ? `Cannot ${doing} ${verb === "CONNX" ? "to " : ""}${at}`
      : `Cannot ${doing} queue "${context.queue}" of ${at}`;
  return new MillraceError(diagnosis.code, `${what}: ${reason} ${name}, expected ${diagnosis.expected}`);
}

function channelOf({ channel, ccdt }: MqContext): string {
  return ccdt ? `the channel of ${ccdt}` : `channel "${channel}"`;
}

function notAuthorized(context: MqContext, verb: string): Diagnosis {
  const { user, hasPassword, queue, queueManager, rights } = context;
  if (verb === "CONNX") {
    const password = hasPassword
      ? "the password (MQ_PASSWORD) to be right"
      : "a password (MQ_PASSWORD, none was given), or a channel that needs none";
    return {
      code: "unauthorized",
      expected: `${channelOf(context)} to let user "${user}" in: ${password}, CONNAUTH of ${queueManager} to know the user, no CHLAUTH rule to block it, and SET AUTHREC OBJTYPE(QMGR) PRINCIPAL('${user}') AUTHADD(CONNECT,INQ)`,
    };
  }
  // The right to read what an application reads would be the right to take it away.
  const isOurs =
    rights === "PUT"
      ? ""
      : `a stream queue, the only kind that may be read (is it one? DISPLAY QLOCAL(*) WHERE(STREAMQ EQ '${queue}') names whose copies it holds), and `;
  return {
    code: "forbidden",
    expected: `${isOurs}the user of ${channelOf(context)} ("${user}", unless MCAUSER or CHLAUTH maps it) to have the right: SET AUTHREC PROFILE('${queue}') OBJTYPE(QUEUE) PRINCIPAL('${user}') AUTHADD(${rights})`,
  };
}

function missingError({ what, detail }: MqFailure & { kind: "missing" }): MillraceError {
  const message =
    what === "package"
      ? `Cannot use IBM MQ: the package ibmmq is not installed (${detail}), expected it: run MQIJS_NOREDIST=1 npm ci (its native part is for Linux x64 with glibc, macOS arm64, Windows and AIX)`
      : `Cannot use IBM MQ: the client library libmqm_r.so cannot be loaded (${detail}), expected IBM's redistributable client (the package IBM-MQC-Redist-LinuxX64 of Fix Central) unpacked to /opt/mqm, or its lib64 folder in LD_LIBRARY_PATH before the start`;
  return new MillraceError("invalid-settings", message);
}
