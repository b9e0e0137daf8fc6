import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startTelemetryExpiry } from "../../functions/runtimes/node/telemetry-expiry.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { ask, reading } from "../contracts/telemetry-store.ts";
import { recordingLogger } from "../support/logger.ts";
import { start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

it("startTelemetryExpiry: forgets what is older than the retention again and again, through failures", async () => {
  const parent = mkdtempSync(join(tmpdir(), "millrace-expiry-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(parent, { recursive: true, force: true }));
  // A folder that cannot be used at first.
  const folder = join(parent, "store");
  writeFileSync(folder, "a file");
  const telemetry = stack.use(createSqliteTelemetry({ folder }));
  const logger = recordingLogger();
  // Ahead, as what was just written is not old otherwise.
  const retentionMs = -3_600_000;
  stack.use(startTelemetryExpiry({ telemetry, retentionMs, logger, firstMs: 5, everyMs: 5 }));
  await waitFor("a warning", () => logger.lines.some(({ level }) => level === "warn"));
  rmSync(folder);
  const nowMs = Date.now();
  for (let round = 0; round < 2; round++) {
    const [old, fresh] = [nowMs - 3_600_001 - round, nowMs + 2 * 3_600_000 - round].map((timeMs) =>
      reading(0, { timeMs }),
    );
    await telemetry.write([old!, fresh!]);
    await waitFor("the old one to be forgotten", async () => {
      const { items } = await telemetry.readings(ask());
      return items.every(({ timeMs }) => timeMs !== old!.timeMs);
    });
  }
  expect((await telemetry.readings(ask())).total).toBe(2);
});

it("startTelemetryExpiry: keeps no process alive", async () => {
  const module = new URL("../../functions/runtimes/node/telemetry-expiry.ts", import.meta.url).href;
  const child = start(process.execPath, [
    "--input-type=module",
    "-e",
    `import { startTelemetryExpiry } from ${JSON.stringify(module)};
     startTelemetryExpiry({ telemetry: {}, retentionMs: 1, logger: console });`,
  ]);
  await waitFor("the process to end", () => child.child.exitCode !== null);
  expect([child.child.exitCode, child.output()]).toEqual([0, ""]);
});
