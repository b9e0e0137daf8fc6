/** `bun functions/entries/bun.ts`: serves streams over HTTP from the event log, by the settings of the environment. */
import { describeError, MillraceError } from "../core/errors.ts";
import { readSettings } from "../core/settings.ts";
import { startServer } from "../runtimes/bun/server.ts";
import { createLogger } from "../runtimes/node/logger.ts";
import { requireAuthentication } from "../runtimes/node/open-authenticator.ts";
import { openStore, whenUp } from "../runtimes/node/open-store.ts";
import { aborted, stopSignal } from "../runtimes/node/stop-signal.ts";
import { loadPages } from "../runtimes/pages.ts";

try {
  const settings = readSettings(process.env);
  requireAuthentication(settings);
  const logger = createLogger({ level: settings.LOG_LEVEL });
  const signal = stopSignal();
  await using store = await openStore({ settings, logger });
  await using server = await startServer({ settings, store, pages: await loadPages(logger), logger });
  if (await whenUp(store, signal)) console.log(`millrace ready ${server.url}`);
  await aborted(signal);
} catch (error) {
  console.error(describeError(error));
  process.exitCode = error instanceof MillraceError && error.code === "invalid-settings" ? 2 : 1;
}
