/** What the AMQP library amqplib throws, as errors of the one table. What RabbitMQ says holds names of queues and users, and no secret. */
import { describeError, type ErrorCode, MillraceError } from "../functions/core/errors.ts";

/**
 * What the library threw, as one of ours.
 * @param what `Cannot <verb> <thing> "<value>"`.
 * @param instead What would do without the permission, where that is missing.
 */
export function amqpError(what: string, cause: unknown, instead?: string): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const text = textOf(cause);
  const { code, was = brief(text), expected } = classify(cause, text);
  const either = code === "forbidden" && instead !== undefined ? `${instead}, or ` : "";
  return new MillraceError(code, `${what}: ${was}, expected ${either}${expected}`, { cause });
}

/** Of a connection that was not made. */
export function connectError(what: string, vhost: string, cause: unknown): MillraceError {
  const text = describeError(cause);
  const refuse = (code: ErrorCode, was: string) => new MillraceError(code, `${what}: ${was}`, { cause });
  if (/^Handshake terminated by server: 403/.test(text)) {
    return refuse(
      "unauthorized",
      "the broker refused the credentials, expected those in the url to be valid (rabbitmqctl authenticate_user), " +
        "and a user other than guest from another host",
    );
  }
  // Why, the library does not pass on.
  if (/^Expected ConnectionOpenOk; got <ConnectionClose/.test(text)) {
    return refuse(
      "forbidden",
      `the broker refused virtual host "${vhost}", expected it to exist (rabbitmqctl list_vhosts), the user to have permissions ` +
        "on it (rabbitmqctl list_permissions) and its limit of connections not to be reached",
    );
  }
  return amqpError(what, cause);
}

interface Class {
  readonly code: ErrorCode;
  /** Default: what the broker says. */
  readonly was?: string | undefined;
  readonly expected: string;
}

/** Reply codes of AMQP 0-9-1 (constants) as RabbitMQ uses them, and what Node says of TLS. */
function classify(cause: unknown, text: string): Class {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  switch (code) {
    case 403:
      return {
        code: "forbidden",
        expected: "the user to have that permission (rabbitmqctl set_permissions)",
      };
    case 404:
      // So a queue whose node is away is answered too.
      return /is down|inaccessible|process is stopped/.test(text)
        ? { code: "unavailable", expected: "its node to come back" }
        : { code: "invalid-settings", expected: "it to be there, or to be declared" };
    case 406:
      // Of a delivery: the broker forgot it, or waited too long for its ack. It comes again.
      return /delivery (tag|acknowledgement)|timed out/.test(text)
        ? { code: "unavailable", expected: "an ack in time" }
        : (differing(text) ?? { code: "invalid-settings", expected: "settings it can have" });
    case 503:
    case 530:
    case 540:
      return { code: "invalid-settings", expected: "something this broker can do" };
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    const was = "the port speaks no TLS";
    return { code: "invalid-settings", was, expected: "one that does (mostly 5671), or amqp:// in the url" };
  }
  if (typeof code === "string" && /CERT|ISSUER|SIGNATURE|^ERR_(TLS|SSL|OSSL)|^EPROTO$/.test(code)) {
    const expected =
      "a TLS port whose certificate tls.ca vouches for, and tls.cert where the broker asks for one";
    // OpenSSL's own texts name its source files, and break the line.
    const was = /^ERR_O?SSL|^EPROTO$/.test(code) ? `TLS failed (${code})` : undefined;
    return { code: "invalid-settings", was, expected };
  }
  return { code: "unavailable", expected: "a broker that answers" };
}

/** Out of `inequivalent arg 'x' for queue 'q' in vhost '/': received 'a' but current is 'b'`. */
function differing(text: string): Class | undefined {
  const found = /inequivalent arg '([^']*)' for .*: received (.*) but current is (.*?)"?$/.exec(text);
  if (!found) return undefined;
  const [, name, received, current] = found;
  return {
    code: "invalid-settings",
    was: `its ${name} is ${current}`,
    expected: `${received}, or to be asked for as it is`,
  };
}

/** Node puts the tries at several addresses of a host into one error without a message. */
function textOf(cause: unknown): string {
  return cause instanceof AggregateError ? cause.errors.map(describeError).join(", ") : describeError(cause);
}

/** Without the library's introduction: `NOT_FOUND - no queue 'q' in vhost '/'`. */
function brief(text: string): string {
  return /with message "(.*)"$/s.exec(text)?.[1] ?? text;
}
