/** The HTTP contract: the checks of the conformance kit (bin/conformance), one test each, on a server that was started. */
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Check } from "../../bin/conformance/check.ts";
import { CHECKS } from "../../bin/conformance/checks/index.ts";
import { prepare, type Session } from "../../bin/conformance/run.ts";
import type { Target } from "../../bin/conformance/target.ts";

/** A running server, and how to reach it. */
export interface HttpServerUnderTest extends AsyncDisposable {
  /** With a publisher; with tokens where the server asks for them; its heartbeat within its patience. */
  readonly target: Target;
}

export interface HttpContract {
  readonly name: string;
  /**
   * `open`: no token needed. `auth`: tokens in the target; both run everything else too. `disabled`: streaming is switched off,
   * and only refusals can be seen.
   */
  readonly mode: "open" | "auth" | "disabled";
  readonly start: () => Promise<HttpServerUnderTest>;
  readonly skip?: string | undefined;
}

/** The kit's publishers of JSON cannot send plain text: this one is for other servers. */
const FOR_OTHERS = new Set(["injection.text"]);

function concerns(check: Check, mode: HttpContract["mode"]): boolean {
  if (check.levels.millrace === undefined || FOR_OTHERS.has(check.id)) return false;
  if (mode === "disabled") return check.needs.includes("disabled");
  return !check.needs.includes("disabled") && (mode === "auth" || !check.needs.includes("auth"));
}

export function describeHttpContract({ name, mode, start, skip }: HttpContract): void {
  describe(`HTTP contract on ${name}, ${mode}`, () => {
    let server: HttpServerUnderTest;
    let session: Session;

    beforeAll(async () => {
      if (skip !== undefined) return;
      server = await start();
      session = await prepare({ ...server.target, profile: "millrace" });
    });
    afterAll(async () => {
      await server?.target.publisher?.close();
      await server?.[Symbol.asyncDispose]();
    });

    for (const check of CHECKS.filter((check) => concerns(check, mode))) {
      it(`${check.id}: ${check.title}`, async (context) => {
        if (skip !== undefined) context.skip(skip);
        const { outcome } = await session.perform(check);
        // Here everything a check needs is given: one that cannot run is as bad as one that fails.
        if (outcome.kind === "not-run") throw new Error(`not run: ${outcome.reason}`);
        if (outcome.kind === "fail") throw new Error(`${outcome.seen} (${check.source})`);
      });
    }
  });
}
