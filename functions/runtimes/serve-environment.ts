/** What every entry does: serves streams over HTTP from the event log, by the settings of the environment, until it is told to stop. */
import { describeError, MillraceError } from "../core/errors.ts";
import { createLogger } from "./node/logger.ts";
import { requireAuthentication } from "./node/open-authenticator.ts";
import { openStore, whenUp } from "./node/open-store.ts";
import { readSettingsAndFiles } from "./node/secret-files.ts";
import { aborted, stopSignal } from "./node/stop-signal.ts";
import { loadPages } from "./pages.ts";
import type { WebServerOptions } from "./web-server.ts";

/** Prints `millrace ready URL`, or what is wrong; the exit code is 2 for the settings, 1 for anything else. Never rejects. */
export async function serveEnvironment(
  startServer: (options: WebServerOptions) => Promise<AsyncDisposable & { readonly url: string }>,
): Promise<void> {
  try {
    const settings = readSettingsAndFiles(process.env);
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
}
