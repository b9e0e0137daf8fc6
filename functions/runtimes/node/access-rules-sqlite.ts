/** AccessRules in the embedded store. What changes is also written down as news, for a while, so that other processes can read it. */
import {
  type AccessRule,
  decodeNews,
  decodeRule,
  encodeNews,
  type Renewal,
  ruleName,
  ruleTime,
} from "../../core/access-rule.ts";
import { MillraceError } from "../../core/errors.ts";
import { MAX_ACCESS_RULES } from "../../core/limits.ts";
import type { AccessRules, AccessWatcher } from "../../ports/access-rules.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Milliseconds news are kept: another process reads them within milliseconds, unless it was suspended. */
const NEWS_MS = 60_000;

/** `maxRules`: default MAX_ACCESS_RULES. */
export function createSqliteAccessRules({
  database,
  maxRules = MAX_ACCESS_RULES,
}: {
  database: SqliteDatabase;
  maxRules?: number;
}): AccessRules {
  const { connection, wakeUps } = database;
  const allRules = connection.prepare("SELECT rule FROM access_rules");
  const timeOf = connection.prepare("SELECT at_ms FROM access_rules WHERE name = ?");
  const count = connection.prepare("SELECT count(*) AS rules FROM access_rules");
  const keep = connection.prepare("INSERT OR REPLACE INTO access_rules (name, at_ms, rule) VALUES (?, ?, ?)");
  const tell = connection.prepare("INSERT INTO access_news (at_ms, news) VALUES (?, ?)");
  const forget = connection.prepare("DELETE FROM access_news WHERE at_ms < ?");
  const newsAfter = connection.prepare("SELECT id, news FROM access_news WHERE id > ? ORDER BY id");
  /** Of the last news there was, whether or not it is kept. */
  const lastNews = connection.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'access_news'");
  /** Of this connection, whose own commits it is not told of. */
  const lookers = new Set<() => void>();

  const lastId = () => Number(lastNews.get()?.seq ?? 0);

  /** Writes the news when the body says that it is some. */
  const write = (what: string, news: AccessRule | Renewal, body: () => boolean) => {
    const nowMs = Date.now();
    const isNews = database.write(what, () => {
      if (!body()) return false;
      forget.run(nowMs - NEWS_MS);
      tell.run(nowMs, encodeNews(news));
      return true;
    });
    if (!isNews) return;
    wakeUps.ring(what);
    for (const looker of lookers) looker();
  };

  /** Hands on what came since the last look. */
  const createLooker = (watcher: AccessWatcher) => {
    let seen = database.read("look for news of access", lastId);
    return () => {
      const [rows, last] = database.read("look for news of access", () => [newsAfter.all(seen), lastId()]);
      const first = Number(rows[0]?.id ?? last + 1);
      const isMissing = first !== seen + 1 || last < seen;
      seen = last;
      if (isMissing) return watcher.restored();
      for (const { news } of rows) {
        const decoded = decodeNews(String(news));
        if (decoded !== undefined) watcher.changed(decoded);
      }
    };
  };

  return {
    async read() {
      const rows = database.read("read the rules about access", () => allRules.all());
      return rows.map(({ rule }) => decodeRule(String(rule))).filter((rule) => rule !== undefined);
    },
    async put(rule) {
      const [name, atMs] = [ruleName(rule), ruleTime(rule)];
      let isFull = false;
      write("keep a rule about access", rule, () => {
        const held = timeOf.get(name);
        if (held !== undefined && Number(held.at_ms) > atMs) return false;
        isFull = held === undefined && Number(count.get()?.rules) >= maxRules;
        if (!isFull) keep.run(name, atMs, encodeNews(rule));
        return !isFull;
      });
      if (!isFull) return;
      throw new MillraceError(
        "invalid-input",
        `Cannot keep another rule about access: there are ${maxRules}, expected fewer`,
      );
    },
    async announce(renewal) {
      write("announce a renewal", renewal, () => true);
    },
    async watch(watcher) {
      const looker = createLooker(watcher);
      const end = wakeUps.onCommit(looker);
      lookers.add(looker);
      // What another process committed before it was listened for.
      looker();
      return () => {
        end();
        lookers.delete(looker);
      };
    },
  };
}
