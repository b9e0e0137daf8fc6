/** `millrace doctor`: looks at everything the settings name, as it is now, and says what to do about what is wrong. */
import { type Command, InvalidArgumentError } from "commander";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { readSettingsAndFiles } from "../../functions/runtimes/node/secret-files.ts";
import { readBridgeFile } from "../bridge-file.ts";
import {
  BROKER_SETTINGS,
  HTTP_SETTINGS,
  helpSettings,
  SOURCE_SETTINGS,
  STORE_SETTINGS,
  TELEMETRY_SETTINGS,
} from "../context.ts";
import { layout } from "../doctor/layout.ts";
import { examineSettings } from "../doctor/settings.ts";
import { companyOf } from "../doctor/target.ts";
import { examineUrl, urlLimitMs } from "../doctor/url.ts";

/** Milliseconds that connections have to close by themselves when all has been said. */
const LEAVE_MS = 500;

interface DoctorOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
  readonly company?: string;
  readonly token?: string;
  readonly heartbeatMs?: number;
}

/**
 * Prints a finding a line, in columns on a terminal, and how many there are of each. Resolves with whether all is well.
 * @param url Of a running server, or of the proxy before it.
 * @throws MillraceError `invalid-settings` before anything is probed.
 */
async function runDoctor(
  settings: Settings,
  url: string | undefined,
  options: DoctorOptions,
  print: (line: string) => void,
): Promise<boolean> {
  const { sources } = readBridgeFile(settings, options.config).config;
  const { token, company = companyOf(token), heartbeatMs = settings.HEARTBEAT_MS } = options;
  const [own, through] = await Promise.all([
    examineSettings(settings, sources),
    url === undefined ? [] : examineUrl({ url, token, company, heartbeatMs, origins: settings.CORS_ORIGINS }),
  ]);
  const areas = [...own, { name: `server ${url}`, findings: through }];
  const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
  for (const line of layout(areas, columns)) print(line);
  return areas.every(({ findings }) => findings.every(({ level }) => level !== "FAIL"));
}

function milliseconds(text: string): number {
  const ms = Number(text);
  if (Number.isInteger(ms) && ms >= 100 && ms <= 3_600_000) return ms;
  throw new InvalidArgumentError("Expected 100 to 3600000 milliseconds.");
}

export function addDoctorCommand(program: Command): void {
  const command = program
    .command("doctor")
    .description(
      "probe what the settings name - machine, keys, store, brokers - and a server through its proxy",
    )
    .argument("[url]", "a running server as browsers reach it, such as https://events.example.com")
    .option("--config <file>", "sources (default: bridge.yaml here, if there is one)")
    .option("--token <jwt>", "bearer token, where the server wants one (npx millrace token)")
    .option(
      "--company <id>",
      "whose stream is opened (default: the token's; without a token one without events)",
    )
    .option(
      "--heartbeat-ms <ms>",
      "HEARTBEAT_MS of the server at the URL (default: the setting here)",
      milliseconds,
    )
    .action(async (url: string | undefined, options: DoctorOptions) => {
      if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
        throw new MillraceError(
          "invalid-input",
          `Cannot probe "${url}": expected an http:// or https:// URL`,
        );
      }
      const isWell = await runDoctor(readSettingsAndFiles(process.env), url, options, (line) =>
        console.log(line),
      );
      if (!isWell) process.exitCode = 1;
      // A client that waits for a peer which says nothing would keep the process for as long as that stays.
      setTimeout(() => process.exit(), LEAVE_MS).unref();
    });
  command.addHelpText(
    "after",
    `\nWith a URL it waits for a heartbeat of the server: it ends within HEARTBEAT_MS and ${urlLimitMs(10_000) / 1000 - 10} s.`,
  );
  helpSettings(command, [
    ...HTTP_SETTINGS,
    ...BROKER_SETTINGS,
    ...STORE_SETTINGS,
    ...TELEMETRY_SETTINGS,
    ...SOURCE_SETTINGS,
  ]);
}
