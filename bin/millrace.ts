#!/usr/bin/env node
/** The CLI: parses arguments and calls one function a command. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addBridgeCommand } from "./commands/bridge.ts";
import { addBrokerCommand } from "./commands/broker.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addDeadLettersCommand } from "./commands/dead-letters.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addProduceCommand } from "./commands/produce.ts";
import { addRedisRestCommand } from "./commands/redis-rest.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addTokenCommand } from "./commands/token.ts";
import { addUpCommand } from "./commands/up.ts";
import { addConformanceCommand } from "./conformance/main.ts";
import { exitCodeOf } from "./context.ts";

const { version, description } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string; description: string };

// Before the commands: they take it over when they are added.
const program = new Command("millrace").description(description).version(version).exitOverride();
program.showHelpAfterError("(--help says what there is)");
for (const add of [
  ...[addUpCommand, addServeCommand, addBridgeCommand, addBrokerCommand, addProduceCommand],
  ...[addRedisRestCommand, addDeadLettersCommand, addTokenCommand, addCheckCommand, addDoctorCommand],
  addConformanceCommand,
]) {
  add(program);
}
program.addHelpText(
  "after",
  "\nSettings are environment variables; the help of a command lists those it reads.\nExit codes: 0 done, 1 failed, 2 bad usage or settings.",
);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
