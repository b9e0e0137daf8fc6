/**
 * An instance's copy of the rules about access: read once, then kept current by what is announced, so that letting a client in costs no
 * command. It is let go of a minute after it was last needed: an idle instance costs nothing.
 *
 * It fails closed only where there is no copy, which a request that asked for it has for a minute. While the store is away later, the last one stands: no event arrives either that
 * it could let the wrong reader have. When the store is back, everything is read anew.
 */
import type { AccessRule, Renewal } from "../core/access-rule.ts";
import { backoffMs, sleep } from "../core/backoff.ts";
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { AccessRules, AccessWatcher } from "../ports/access-rules.ts";
import { createRuleSet, type RuleSet, type RulesView, viewOf } from "./rule-set.ts";

/** Milliseconds the copy is kept current after it was last needed. */
const LINGER_MS = 60_000;

export interface RulesCopyOptions {
  readonly rules: AccessRules;
  readonly logger: Logger;
  /** Default 60,000. */
  readonly lingerMs?: number;
}

export interface RulesCopy extends RulesView, Disposable {
  /**
   * Keeps it current until the function returned is called; where it cannot be read, that is tried until it can. `restored`: anything may
   * have changed.
   */
  hold(watcher: AccessWatcher): () => void;
  /** Undefined: not read yet; who holds it is told `restored` when it is. */
  current(): RuleSet | undefined;
}

export function createRulesCopy({ rules, logger, lingerMs = LINGER_MS }: RulesCopyOptions): RulesCopy {
  const disposed = new AbortController();
  const holders = new Set<AccessWatcher>();
  let current: Watching | undefined;
  let neededAtMs = 0;
  let lingering: ReturnType<typeof setTimeout> | undefined;

  const tellAll = (tell: (watcher: AccessWatcher) => void) => {
    for (const holder of [...holders]) tell(holder);
  };

  const watching = (): Watching => {
    if (current !== undefined) return current;
    const own = watchRules(rules, logger, {
      changed: (news) => tellAll((holder) => holder.changed(news)),
      restored: () => tellAll((holder) => holder.restored()),
    });
    current = own;
    own.started.catch(() => {
      if (current === own) letGo();
    });
    return own;
  };

  const letGo = () => {
    current?.end();
    current = undefined;
    clearTimeout(lingering);
    lingering = undefined;
  };

  const linger = () => {
    if (lingering !== undefined || holders.size > 0 || current === undefined) return;
    const waitMs = Math.max(0, neededAtMs + lingerMs - performance.now());
    lingering = setTimeout(() => {
      lingering = undefined;
      if (performance.now() - neededAtMs >= lingerMs && holders.size === 0) letGo();
      else linger();
    }, waitMs);
  };

  /** Connections that were let in by another instance's copy, as behind a Durable Object, have nobody who would ask again. */
  let isInsisting = false;
  const insist = async () => {
    isInsisting = true;
    for (let attempt = 0; holders.size > 0; attempt++) {
      try {
        await watching().started;
        break;
      } catch (error) {
        if (attempt === 0)
          logger.warn({ reason: describeError(error) }, "Cannot read the rules about access");
        await sleep(backoffMs(attempt), disposed.signal);
      }
    }
    isInsisting = false;
  };

  const rulesNow = () => current?.rules();

  return {
    async ready() {
      neededAtMs = performance.now();
      await watching().started;
      linger();
    },
    hold(watcher) {
      holders.add(watcher);
      if (current?.rules() === undefined && !isInsisting) void insist();
      return () => {
        if (!holders.delete(watcher)) return;
        neededAtMs = performance.now();
        linger();
      };
    },
    current: rulesNow,
    ...viewOf(rulesNow),
    [Symbol.dispose]() {
      disposed.abort();
      holders.clear();
      letGo();
    },
  };
}

interface Watching {
  /** Resolves when the rules were read for the first time. */
  readonly started: Promise<void>;
  /** Undefined until then. */
  rules(): RuleSet | undefined;
  end(): void;
}

/** Listens first, then reads, so that nothing falls between; reads again when something may have been missed. */
function watchRules(rules: AccessRules, logger: Logger, watcher: AccessWatcher): Watching {
  const ended = new AbortController();
  let current: RuleSet | undefined;
  /** What was heard since a reading began: it may be newer than what is read. */
  let heard: AccessRule[] | undefined;
  let isMissing = false;
  let unwatch = () => {};

  const read = async () => {
    heard = [];
    isMissing = false;
    try {
      const next = createRuleSet();
      for (const rule of await rules.read()) next.add(rule);
      for (const rule of heard) next.add(rule);
      if (ended.signal.aborted) return;
      current = next;
      watcher.restored();
    } finally {
      heard = undefined;
    }
  };

  const changed = (news: AccessRule | Renewal) => {
    if (ended.signal.aborted) return;
    if (news.kind !== "renewed") {
      heard?.push(news);
      current?.add(news);
    }
    watcher.changed(news);
  };

  /** Until it was read with nothing missed meanwhile. */
  let isReadingAgain = false;
  const readAgain = async () => {
    isMissing = true;
    if (isReadingAgain || current === undefined) return;
    isReadingAgain = true;
    for (let attempt = 0; isMissing && !ended.signal.aborted; attempt++) {
      try {
        await read();
      } catch (error) {
        isMissing = true;
        if (attempt === 0)
          logger.warn({ reason: describeError(error) }, "Cannot read the rules about access");
        await sleep(backoffMs(attempt), ended.signal);
      }
    }
    isReadingAgain = false;
  };

  const begin = async () => {
    unwatch = await rules.watch({ changed, restored: () => void readAgain() });
    try {
      await read();
    } finally {
      if (current === undefined) unwatch();
    }
    if (isMissing) void readAgain();
  };

  return {
    started: begin(),
    rules: () => current,
    end() {
      ended.abort();
      unwatch();
    },
  };
}
