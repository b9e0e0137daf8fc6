/** `node functions/entries/node.ts`: serves streams over HTTP from the event log, by the settings of the environment. */
import { startServer } from "../runtimes/node/server.ts";
import { serveEnvironment } from "../runtimes/serve-environment.ts";

await serveEnvironment(startServer);
