/** workers/index.ts for tests: with few connections a Durable Object, and a way to evict one, as the platform does when it moves or updates it. */
import { pages } from "../../../dist/pages.js";
import { CompanyHub as Hub } from "../../../workers/company-hub.ts";
import { createFront } from "../../../workers/front.ts";

let front;

export class CompanyHub extends Hub {
  fetch(request) {
    if (new URL(request.url).pathname === "/evict") this.ctx.abort("evicted by a test");
    return super.fetch(request);
  }
}

export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/test/evict") {
      const hub = env.COMPANY_HUB.getByName(searchParams.get("name"));
      await hub.fetch("https://hub/evict").catch(() => {});
      return new Response("evicted");
    }
    front ??= createFront(env, pages, { shardConnections: 2 });
    return front.fetch(request, env, ctx);
  },
};
