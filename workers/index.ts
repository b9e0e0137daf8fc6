/** Entry of Cloudflare Workers (`main` of wrangler.toml). */

import { pages } from "../dist/pages.js";
import { describeError } from "../functions/core/errors.ts";
import { createFront } from "./front.ts";
import { createConsoleLogger } from "./logger.ts";

export { CompanyHub } from "./company-hub.ts";

let front: ReturnType<typeof createFront> | undefined;

export default {
  fetch(request, env, ctx) {
    try {
      front ??= createFront(env, pages);
    } catch (error) {
      createConsoleLogger({ level: "error" }).error({ reason: describeError(error) }, "Cannot start");
      return Response.json({ error: "Internal" }, { status: 500 });
    }
    return front.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;
