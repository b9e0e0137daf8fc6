/** What every entry exports: the front, made with the first request, as only that brings the bindings. */
import { pages } from "../dist/pages.js";
import { describeError } from "../functions/core/errors.ts";
import { createFront, type FrontOptions } from "./front.ts";
import { createConsoleLogger } from "./logger.ts";

/** Answers every request; where settings are wrong, as 500 with a line in the log. */
export function createWorker(options: FrontOptions = {}): ExportedHandler<Env> {
  let front: ReturnType<typeof createFront> | undefined;
  return {
    fetch(request, env, ctx) {
      try {
        front ??= createFront(env, pages, options);
      } catch (error) {
        createConsoleLogger({ level: "error" }).error({ reason: describeError(error) }, "Cannot start");
        return Response.json({ error: "Internal" }, { status: 500 });
      }
      return front.fetch(request, env, ctx);
    },
  };
}
