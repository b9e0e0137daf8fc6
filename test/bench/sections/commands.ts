/** Redis commands: what idle clients cost, and what an event costs beside its append. */
import {
  type CommandCounts,
  commandsSince,
  describeCommands,
  redisCommands,
  sumCommands,
} from "../lib/redis-commands.ts";
import { type BenchContext, format, MILLRACE, type Section, target } from "../lib/section.ts";
import { COMPANY } from "../lib/systems.ts";

const CLIENTS = 100;
const RATE = 100;
/** An instance renews its lease about every 10 s: how many fall into one look may differ by this much from the other's. */
const LEASE_COMMANDS = 4;

async function run({ client, publisher, systems, quick, progress }: BenchContext) {
  const system = systems.find(({ name }) => name === MILLRACE);
  if (!system) return { tables: [], targets: [], failures: [], data: {} };
  await using server = await system.start();
  const url = server.redisUrl!;
  const during = async (action: () => Promise<unknown>): Promise<CommandCounts> => {
    const before = await redisCommands(url);
    await action();
    return commandsSince(before, await redisCommands(url));
  };
  const idle = () => new Promise((resolve) => setTimeout(resolve, quick ? 5000 : 11_000));
  const seconds = quick ? 2 : 5;
  await publisher.call("open", server.publish, COMPANY);
  // The first append makes the log and loads the script.
  await publisher.call("publishNow", 1);

  progress("commands, no client");
  const idleAlone = await during(idle);
  const busyAlone = await during(() => publisher.call("publish", RATE, seconds));
  progress(`commands, ${CLIENTS} clients`);
  await client.call("open", server.stream(), CLIENTS);
  const idleClients = await during(idle);
  await client.call("mark");
  const busyClients = await during(async () => {
    await publisher.call("publish", RATE, seconds);
    await client.call("waitEvents", RATE * seconds * CLIENTS, 10_000);
  });
  const { events } = await client.call("delivered");
  await client.call("close");
  await publisher.call("close");

  const published = RATE * seconds;
  const perEvent = (counts: CommandCounts) => sumCommands(counts) / published;
  const extra = sumCommands(idleClients) - sumCommands(idleAlone);
  const lost = published * CLIENTS - events;
  return {
    tables: [
      {
        title: `Redis commands, scripts' inner ones included (${quick ? 5 : 11} s idle; ${RATE} events/s for ${seconds} s)`,
        columns: ["", "commands", "an event", "which"],
        rows: [
          ["idle, no client", sumCommands(idleAlone), "-", describeCommands(idleAlone)],
          [`idle, ${CLIENTS} clients`, sumCommands(idleClients), "-", describeCommands(idleClients)],
          [
            "events, no client",
            sumCommands(busyAlone),
            format(perEvent(busyAlone)),
            describeCommands(busyAlone),
          ],
          [
            `events, ${CLIENTS} clients`,
            sumCommands(busyClients),
            format(perEvent(busyClients)),
            describeCommands(busyClients),
          ],
        ],
      },
    ],
    targets: [
      ...target(
        `Redis commands for ${CLIENTS} idle clients, beside the instance's lease`,
        `none (up to ${LEASE_COMMANDS} when a lease falls in)`,
        extra,
        "",
        (commands) => commands <= LEASE_COMMANDS,
      ),
      ...target(
        "Redis commands an event costs beside its append",
        "none (under 0.05)",
        perEvent(busyClients) - perEvent(busyAlone),
        "",
        (commands) => commands < 0.05,
      ),
    ],
    failures: lost === 0 ? [] : [`commands: millrace lost ${lost} events`],
    data: { idleAlone, idleClients, busyAlone, busyClients, published },
  };
}

export const commands: Section = { name: "commands", title: "Redis commands", run };
