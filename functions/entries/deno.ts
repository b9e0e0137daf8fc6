/** `deno task start`: serves streams over HTTP from the event log, by the settings of the environment. */
import { startServer } from "../runtimes/deno/server.ts";
import { serveEnvironment } from "../runtimes/serve-environment.ts";

await serveEnvironment(startServer);
// A WebSocket whose client does not read cannot be cut, and would hold the process.
process.exit();
