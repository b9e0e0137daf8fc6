/** Entry of Cloudflare Workers (`main` of wrangler.toml). */
import { createWorker } from "./worker.ts";

export { CompanyHub } from "./company-hub.ts";

export default createWorker();
