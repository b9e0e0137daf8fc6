/**
 * A `runmqsc` for tests: gives the MQSC of standard input to the stand-in whose control port MILLRACE_STAND_IN_CONTROL names, and
 * prints and ends as IBM's does (0 all done, 10 some commands failed, 20 no such queue manager). Not IBM's program. Commands that
 * begin with one of the texts of LOSE, parted by "|", it leaves out, for a test of what is then missing.
 */
import { text } from "node:stream/consumers";
import { ask } from "./control.ts";
import { splitCommands } from "./mqsc-text.ts";

const [queueManager] = process.argv.slice(2);
const port = Number(process.env.MILLRACE_STAND_IN_CONTROL);
console.log(`Starting MQSC for queue manager ${queueManager}.\n`);
if (queueManager !== process.env.MILLRACE_STAND_IN_NAME) {
  console.log("AMQ8146E: IBM MQ queue manager not available.");
  process.exit(20);
}
const commands = splitCommands(await text(process.stdin)).map((command) => command.text);
const lost = process.env.LOSE?.split("|") ?? [];
const kept = commands.filter((command) => !lost.some((start) => command.startsWith(start)));
const results = await ask(port, "run", kept.join("\n"));
results.forEach(({ command, answer }, index) => {
  console.log(`${String(index + 1).padStart(6)} : ${command}\n${answer}`);
});
const syntax = results.filter(({ isSyntaxError }) => isSyntaxError).length;
const failed = results.filter(({ isOk }) => !isOk).length - syntax;
console.log(`${results.length} MQSC commands read.`);
console.log(`${syntax} commands have a syntax error.`);
console.log(`${failed} valid MQSC commands could not be processed.`);
process.exitCode = syntax + failed > 0 ? 10 : 0;
