/** `millrace serve`: HTTP only. */
import type { Command } from "commander";
import { requireAuthentication } from "../../functions/runtimes/node/open-authenticator.ts";
import { openStore, whenUp } from "../../functions/runtimes/node/open-store.ts";
import { startServer } from "../../functions/runtimes/node/server.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { buildPages } from "../../web/build.ts";
import {
  type Context,
  HTTP_SETTINGS,
  helpSettings,
  openContext,
  STORE_SETTINGS,
  TELEMETRY_SETTINGS,
} from "../context.ts";

/** Resolves when the signal has aborted and the clients were sent away. */
async function runServe({ settings, logger, print, signal }: Context): Promise<void> {
  requireAuthentication(settings);
  const pages = await buildPages();
  await using store = await openStore({ settings, logger });
  await using server = await startServer({ settings, store, pages, logger });
  if (!(await whenUp(store, signal))) return;
  print(`millrace ready ${server.url}`);
  await aborted(signal);
}

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("serve streams and pages over HTTP from the event log, until stopped")
    .action(() => runServe(openContext()));
  helpSettings(command, [...HTTP_SETTINGS, ...STORE_SETTINGS, ...TELEMETRY_SETTINGS]);
}
