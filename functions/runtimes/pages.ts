/** The live pages as `npm run pages` has written them, for entries that do not build them. */
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Asset } from "../routes/pages.ts";

/** Empty, and said so, where there are none. */
export async function loadPages(logger: Logger): Promise<ReadonlyMap<string, Asset>> {
  try {
    const [html, assets] = await Promise.all([import("../../dist/pages.js"), import("../../dist/assets.js")]);
    return new Map([...html.pages, ...assets.pages]);
  } catch (error) {
    logger.warn({ reason: describeError(error) }, "Without the live pages, expected `npm run pages` first");
    return new Map();
  }
}
