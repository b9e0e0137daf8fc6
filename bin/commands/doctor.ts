/** `millrace doctor`: looks at everything the settings name, as it is now, and says what to do about what is wrong. */
import { type Command, InvalidArgumentError } from "commander";
import { MillraceError } from "../../functions/core/errors.ts";
import { maskUrls } from "../../functions/core/mask-urls.ts";
import { readSettings, type Settings } from "../../functions/core/settings.ts";
import { describeSource, readBridgeFile } from "../bridge-file.ts";
import { helpSettings, SOURCE_SETTINGS, SOURCE_SWITCHES } from "../context.ts";
import { examine, type Finding } from "../doctor/examine.ts";
import { settingsProbes } from "../doctor/settings.ts";
import { companyOf } from "../doctor/target.ts";
import { examineUrl, urlLimitMs } from "../doctor/url.ts";

interface DoctorOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
  readonly company?: string;
  readonly token?: string;
  readonly heartbeatMs?: number;
}

const LEVELS = { ok: "ok    ", note: "note  ", FAIL: "FAIL  " } as const;

/**
 * Prints one line a finding, and one for all that fail alike. Resolves with whether all is well.
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
    Promise.all(settingsProbes(settings, sources).map(examine)),
    url === undefined ? [] : examineUrl({ url, token, company, heartbeatMs, origins: settings.CORS_ORIGINS }),
  ]);
  const findings = [...own, ...through];
  for (const { level, what, text } of merged(findings)) print(maskUrls(`${LEVELS[level]}${what}: ${text}`));
  for (const config of sources.filter(({ enabled }) => !enabled)) {
    print(`note  source ${describeSource(config)}: off`);
  }
  if (sources.length === 0)
    print(`note  no broker: ${SOURCE_SWITCHES.join(", ")} are unset; npm start brings its own`);
  return findings.every(({ level }) => level !== "FAIL");
}

/** What fails alike, at the place of the first: most often one thing is wrong, such as the address that several sources share. */
function merged(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ level, what, text }) =>
    level === "FAIL" ? text : `${what}\n${text}`,
  );
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    what: group.map(({ what }) => what).join(", "),
  }));
}

function milliseconds(text: string): number {
  const ms = Number(text);
  if (Number.isInteger(ms) && ms >= 100 && ms <= 3_600_000) return ms;
  throw new InvalidArgumentError("Expected 100 to 3600000 milliseconds.");
}

export function addDoctorCommand(program: Command): void {
  const command = program
    .command("doctor")
    .description("probe what the settings name - store, brokers, keys - and a server through its proxy")
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
      const isWell = await runDoctor(readSettings(process.env), url, options, (line) => console.log(line));
      if (!isWell) process.exitCode = 1;
    });
  command.addHelpText(
    "after",
    `\nWith a URL it waits for a heartbeat of the server: it ends within HEARTBEAT_MS and ${urlLimitMs(10_000) / 1000 - 10} s.`,
  );
  helpSettings(command, [
    "REDIS_URL",
    "DATA_DIR",
    "MONGODB_URI",
    "MONGODB_DATABASE",
    "MONGO_COLLECTION",
    "JWKS_URL",
    "HEARTBEAT_MS",
    "CORS_ORIGINS",
    ...SOURCE_SETTINGS,
  ]);
}
