/** `millrace redis-rest`: Redis over REST, as Upstash has it, for edge runtimes. */
import type { Command } from "commander";
import { startRedisRest } from "../../bridge/redis-rest/gateway.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { type Context, helpSettings, openContext, type SettingName } from "../context.ts";

const SETTINGS = [
  ...["REDIS_URL", "HOST", "REDIS_REST_PORT", "UPSTASH_REDIS_REST_TOKEN"],
  "UPSTASH_REDIS_REST_READONLY_TOKEN",
] as SettingName[];

/** Characters of a token: it is all that stands between the network and the data, and may be guessed at without end. */
const MIN_TOKEN_CHARS = 32;

/** Resolves when the signal has aborted and the clients were sent away. */
async function runRedisRest({ settings, logger, print, signal }: Context): Promise<void> {
  const { redisUrl, token } = requireSettings(settings);
  await using gateway = await startRedisRest({
    ...{ redisUrl, token, logger },
    readonlyToken: settings.UPSTASH_REDIS_REST_READONLY_TOKEN,
    host: settings.HOST,
    port: settings.REDIS_REST_PORT,
  });
  if (!(await gateway.whenUp(signal))) return;
  print(`millrace ready ${gateway.url}`);
  await aborted(signal);
}

/** @throws MillraceError `invalid-settings` naming every setting that is wrong. */
function requireSettings(settings: Settings): { redisUrl: string; token: string } {
  const redisUrl = settings.REDIS_URL;
  const token = settings.UPSTASH_REDIS_REST_TOKEN;
  const readonlyToken = settings.UPSTASH_REDIS_REST_READONLY_TOKEN;
  const length = `expected at least ${MIN_TOKEN_CHARS} characters, such as openssl rand -hex 32 prints`;
  const problems = [
    ...(redisUrl === undefined ? ["REDIS_URL: not set, expected a redis:// or rediss:// URL"] : []),
    ...(token === undefined || !isToken(token) ? [`UPSTASH_REDIS_REST_TOKEN: ${length}`] : []),
    ...(readonlyToken !== undefined && !isToken(readonlyToken)
      ? [`UPSTASH_REDIS_REST_READONLY_TOKEN: ${length}`]
      : []),
    ...(readonlyToken !== undefined && readonlyToken === token
      ? ["UPSTASH_REDIS_REST_READONLY_TOKEN: expected another one than UPSTASH_REDIS_REST_TOKEN"]
      : []),
  ];
  if (redisUrl === undefined || token === undefined || problems.length > 0) {
    throw new MillraceError("invalid-settings", `Cannot start redis-rest:\n  ${problems.join("\n  ")}`);
  }
  return { redisUrl, token };
}

/** What a header can carry, and nobody can guess. */
function isToken(text: string): boolean {
  return text.length >= MIN_TOKEN_CHARS && /^[\x21-\x7e]+$/.test(text);
}

export function addRedisRestCommand(program: Command): void {
  const command = program
    .command("redis-rest")
    .description("serve Redis over the REST API of Upstash, for edge runtimes, until stopped")
    .action(() => runRedisRest(openContext()));
  helpSettings(command, SETTINGS);
}
