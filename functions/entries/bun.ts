/** `bun functions/entries/bun.ts`: serves streams over HTTP from the event log, by the settings of the environment. */
import { startServer } from "../runtimes/bun/server.ts";
import { serveEnvironment } from "../runtimes/serve-environment.ts";

await serveEnvironment(startServer);
