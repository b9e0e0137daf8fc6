/** AccessRules in the embedded store. What changes is also written down as news, for a while, so that other processes can read it. */
import {
  type AccessRule,
  ALL_FEATURES,
  type CompanyFeatures,
  changeOf,
  decodeNews,
  decodeRule,
  encodeNews,
  isDefault,
  LONGEST_TOKEN_MS,
  noRoomForFeatures,
  type Renewal,
  ruleName,
} from "../../core/access-rule.ts";
import { MAX_ACCESS_RULES } from "../../core/limits.ts";
import type { AccessRules, AccessWatcher } from "../../ports/access-rules.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Milliseconds news are kept: another process reads them within milliseconds, unless it was suspended. */
const NEWS_MS = 60_000;

/** What is neither features nor `all-revoked`; no company's name holds a colon. */
const REVOCATIONS = "FROM access_rules WHERE name GLOB '*-revoked:*'";

/** `maxRules`: default MAX_ACCESS_RULES; half of it for features, half for revocations. */
export function createSqliteAccessRules({
  database,
  maxRules = MAX_ACCESS_RULES,
}: {
  database: SqliteDatabase;
  maxRules?: number;
}): AccessRules {
  const { connection, wakeUps } = database;
  const most = Math.ceil(maxRules / 2);
  const allRules = connection.prepare("SELECT rule FROM access_rules");
  const ruleOf = connection.prepare("SELECT at_ms, rule FROM access_rules WHERE name = ?");
  const countRevocations = connection.prepare(`SELECT count(*) AS rules ${REVOCATIONS}`);
  const countFeatures = connection.prepare(
    "SELECT count(*) AS rules FROM access_rules WHERE name GLOB 'features:*'",
  );
  const oldest = connection.prepare(`SELECT name, at_ms ${REVOCATIONS} ORDER BY at_ms LIMIT 1`);
  const keep = connection.prepare("INSERT OR REPLACE INTO access_rules (name, at_ms, rule) VALUES (?, ?, ?)");
  const drop = connection.prepare("DELETE FROM access_rules WHERE name = ?");
  const tell = connection.prepare("INSERT INTO access_news (at_ms, news) VALUES (?, ?)");
  const forget = connection.prepare("DELETE FROM access_news WHERE at_ms < ?");
  const newsAfter = connection.prepare("SELECT id, news FROM access_news WHERE id > ? ORDER BY id");
  /** Of the last news there was, whether or not it is kept. */
  const lastNews = connection.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'access_news'");
  /** Of this connection, whose own commits it is not told of. */
  const lookers = new Set<() => void>();

  const lastId = () => Number(lastNews.get()?.seq ?? 0);

  /** Writes down the news that the body says there are. */
  const write = (what: string, body: () => readonly (AccessRule | Renewal)[]) => {
    const nowMs = Date.now();
    const isNews = database.write(what, () => {
      const news = body();
      if (news.length > 0) forget.run(nowMs - NEWS_MS);
      for (const one of news) tell.run(nowMs, encodeNews(one));
      return news.length > 0;
    });
    if (!isNews) return;
    wakeUps.ring(what);
    for (const looker of lookers) looker();
  };

  const keepRevoked = (rule: Exclude<AccessRule, { kind: "features" }>) =>
    keep.run(ruleName(rule), rule.atMs, encodeNews(rule));

  /** For one more revocation. Says what stands for the one that left. */
  const makeRoom = (): Extract<AccessRule, { kind: "all-revoked" }> | undefined => {
    if (Number(countRevocations.get()?.rules) < most) return undefined;
    const { name, at_ms } = oldest.get()!;
    drop.run(name!);
    const before = Number(ruleOf.get("all-revoked")?.at_ms ?? 0);
    const all = { kind: "all-revoked", atMs: Math.max(Number(at_ms), before) } as const;
    if (all.atMs > Date.now() - LONGEST_TOKEN_MS) {
      keepRevoked(all);
      return all;
    }
    drop.run(all.kind);
    return undefined;
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
    async version() {
      return String(database.read("look for news of access", lastId));
    },
    async put(revocation) {
      let all: ReturnType<typeof makeRoom>;
      write("keep a rule about access", () => {
        const held = ruleOf.get(ruleName(revocation));
        if (held !== undefined && Number(held.at_ms) > revocation.atMs) return [];
        if (held === undefined) all = makeRoom();
        keepRevoked(revocation);
        return all === undefined ? [revocation] : [all, revocation];
      });
      return all?.atMs;
    },
    async changeFeatures(company, change) {
      let features: CompanyFeatures | undefined;
      write("keep a rule about access", () => {
        const name = ruleName({ kind: "features", company, features: ALL_FEATURES });
        const held = ruleOf.get(name);
        if (held === undefined && Number(countFeatures.get()?.rules) >= most) return [];
        const rule = held && decodeRule(String(held.rule));
        features = changeOf(rule?.kind === "features" ? rule.features : ALL_FEATURES, change);
        const changed: AccessRule = { kind: "features", company, features };
        if (isDefault(features)) drop.run(name);
        else keep.run(name, 0, encodeNews(changed));
        return [changed];
      });
      if (features === undefined) throw noRoomForFeatures(most);
      return features;
    },
    async announce(renewal) {
      write("announce a renewal", () => [renewal]);
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
