/** Sessions over the copy of the rules about access, by one timer. */
import type { AccessRule, Renewal } from "../core/access-rule.ts";
import type { Logger } from "../core/logger.ts";
import { isOps, mayRead, type Principal } from "../core/principal.ts";
import type { Session, Sessions } from "../ports/sessions.ts";
import type { RulesCopy } from "./rules-copy.ts";

/** Milliseconds before its token ends at which a client is asked for a fresh one. */
const ASK_MS = 60_000;
/** Milliseconds between two looks at all sessions, at least: so many are looked at some times a second, not once each. */
const LOOK_MS = 250;
/** Milliseconds between two looks, at most, while a session has an end: a clock that is set is noticed, which no timer does by itself. */
const MAX_SLEEP_MS = 30_000;

export interface SessionsOptions {
  readonly copy: Pick<RulesCopy, "hold" | "current">;
  readonly logger: Logger;
}

interface Open {
  readonly id: string;
  readonly scope: Session["scope"];
  readonly membership: Session["membership"];
  principal: Principal;
  /** What the client is to be told next, and when. */
  notice: { readonly name: "reauthenticate" | "renewed"; readonly atMs: number } | undefined;
}

export function createSessions({ copy, logger }: SessionsOptions): Sessions {
  const sessions = new Map<string, Open>();
  let release: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** By `performance.now()`, both. */
  let timerAtMs = Number.POSITIVE_INFINITY;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  const forget = (session: Open) => {
    if (!sessions.delete(session.id) || sessions.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
    release?.();
    release = undefined;
  };

  const end = (session: Open, reason: "expired" | "revoked" | "disabled") => {
    forget(session);
    session.membership.end(reason);
  };

  /** Ends it when it may not go on. */
  const check = (session: Open) => {
    const { principal, scope } = session;
    const rules = copy.current();
    if (Date.now() >= endMs(principal)) end(session, "expired");
    // Let in by another instance's copy: everybody is checked when this one is read.
    else if (rules === undefined) return;
    else if (rules.isRevoked(principal)) end(session, "revoked");
    else if (scope === undefined) return;
    else if (rules.isRevokedFor(principal, scope)) end(session, "revoked");
    else if (!rules.features(scope).streaming) end(session, "disabled");
  };
  const checkAll = () => {
    for (const session of sessions.values()) check(session);
  };

  const say = (session: Open) => {
    const { notice, id, principal } = session;
    // It is full, or not open yet: at the next look.
    if (!session.membership.notify(notice!.name, { connectionId: id, expiresAt: timeOf(principal) })) return;
    session.notice = notice!.name === "renewed" ? askAgain(principal) : undefined;
  };

  const look = () => {
    timer = undefined;
    const nowMs = Date.now();
    lookedAtMs = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const session of sessions.values()) {
      if (dueMs(session) <= nowMs) {
        if (nowMs >= endMs(session.principal)) {
          end(session, "expired");
          continue;
        }
        say(session);
      }
      nextMs = Math.min(nextMs, dueMs(session));
    }
    lookAt(nextMs);
  };

  const lookAt = (dueAtMs: number) => {
    if (dueAtMs === Number.POSITIVE_INFINITY || sessions.size === 0) return;
    const steadyMs = performance.now();
    const dueInMs = Math.min(dueAtMs - Date.now(), MAX_SLEEP_MS);
    const waitMs = Math.max(dueInMs, lookedAtMs + LOOK_MS - steadyMs, 0);
    if (timer !== undefined && timerAtMs <= steadyMs + waitMs) return;
    clearTimeout(timer);
    timerAtMs = steadyMs + waitMs;
    timer = setTimeout(look, waitMs);
  };

  const renew = ({ connection, principal }: Renewal) => {
    const session = sessions.get(connection);
    // Another instance's, or gone.
    if (session === undefined) return;
    const isSame = principal.subject === session.principal.subject;
    const { scope } = session;
    if (!isSame || !(scope === undefined ? isOps(principal) : mayRead(principal, scope))) {
      logger.warn({ connection }, "A connection was not renewed: by another subject, or without its company");
      return;
    }
    session.principal = principal;
    check(session);
    if (!sessions.has(connection)) return;
    session.notice = { name: "renewed", atMs: 0 };
    say(session);
    lookAt(dueMs(session));
  };

  const watcher = {
    changed(news: AccessRule | Renewal) {
      if (news.kind === "renewed") renew(news);
      else checkAll();
    },
    restored: checkAll,
  };

  return {
    enter({ principal, scope, membership }) {
      const session: Open = {
        id: crypto.randomUUID(),
        scope,
        membership,
        principal,
        notice: askLater(principal),
      };
      sessions.set(session.id, session);
      release ??= copy.hold(watcher);
      // What was decided while it was let in.
      check(session);
      lookAt(dueMs(session));
      return () => forget(session);
    },
  };
}

const endMs = ({ expiresAtMs = Number.POSITIVE_INFINITY }: Principal) => expiresAtMs;
const dueMs = ({ principal, notice }: Open) =>
  Math.min(endMs(principal), notice?.atMs ?? Number.POSITIVE_INFINITY);

/** A token that lives less long than that is asked about at once. */
function askLater({ expiresAtMs }: Principal): Open["notice"] {
  return expiresAtMs === undefined ? undefined : { name: "reauthenticate", atMs: expiresAtMs - ASK_MS };
}

/** After a renewal: one that is renewed for less than that is asked half-way, or it would be asked without end. */
function askAgain(principal: Principal): Open["notice"] {
  const notice = askLater(principal);
  const nowMs = Date.now();
  return notice && { ...notice, atMs: Math.max(notice.atMs, nowMs + (endMs(principal) - nowMs) / 2) };
}

/** RFC 3339; null: never. */
function timeOf({ expiresAtMs }: Principal): string | null {
  return expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
}
