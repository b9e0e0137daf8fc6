/** Who may connect, and as whom: channel, CHLAUTH rules, user and password, CONNECT on the queue manager. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RC } from "./constants.ts";
import type { Definitions } from "./definitions.ts";
import type { Attributes } from "./mqsc-rules.ts";

export interface ConnectRequest {
  readonly queueManager: string;
  readonly channel: string;
  readonly cipher: string;
  readonly keyRepository: string;
  /** Address of a JSON client channel definition table; empty: none. */
  readonly ccdt: string;
  readonly user: string;
  readonly password: string;
}

/** The channel a JSON client channel definition table gives for the queue manager (IBM MQ, "Configuring a JSON format CCDT"). */
function channelOfCcdt(url: string, queueManager: string): string | undefined {
  const table = JSON.parse(readFileSync(url.startsWith("file:") ? fileURLToPath(url) : url, "utf8"));
  const entry = table.channel.find(
    (channel: { clientConnection: { queueManager: string } }) =>
      channel.clientConnection.queueManager === queueManager,
  );
  return entry?.name;
}

/** The user a rule makes of the one who asks; undefined: refused. */
function mappedUser(rule: Attributes | undefined, channel: Attributes, user: string): string | undefined {
  if (rule?.USERSRC === "NOACCESS") return undefined;
  return rule?.USERSRC === "MAP" ? rule.MCAUSER : channel.MCAUSER || user;
}

/** The user that connects, or the reason it may not. */
export function admit(
  { queueManager, ccdt, cipher, keyRepository, user, password, ...asked }: ConnectRequest,
  name: string,
  definitions: Definitions,
  passwords: Readonly<Record<string, string>>,
): { readonly user: string; readonly channel: string } | { readonly reason: number } {
  if (queueManager !== "" && queueManager !== name) return { reason: RC.Q_MGR_NAME_ERROR };
  let channelName: string | undefined = asked.channel;
  try {
    if (ccdt !== "") channelName = channelOfCcdt(ccdt, queueManager);
  } catch {
    return { reason: RC.CCDT_URL_ERROR };
  }
  // A CCDT without an entry for the queue manager.
  if (channelName === undefined) return { reason: RC.Q_MGR_NAME_ERROR };
  const channel = definitions.channels.get(channelName);
  if (!channel) return { reason: RC.UNKNOWN_CHANNEL_NAME };
  // No TLS is spoken; only what a program says of it is checked.
  if (channel.SSLCIPH !== cipher) return { reason: RC.SSL_INITIALIZATION_ERROR };
  if (cipher !== "" && keyRepository === "") return { reason: RC.KEY_REPOSITORY_ERROR };

  const rules = definitions.channelRules.filter(({ CHLAUTH = "" }) =>
    CHLAUTH.endsWith("*") ? channelName.startsWith(CHLAUTH.slice(0, -1)) : CHLAUTH === channelName,
  );
  // A rule for the user goes before one for the address (IBM MQ, "Channel authentication records").
  const rule =
    rules.find(({ TYPE, CLNTUSER }) => TYPE === "USERMAP" && CLNTUSER === user) ??
    rules.find(({ TYPE, ADDRESS }) => TYPE === "ADDRESSMAP" && (ADDRESS === "*" || ADDRESS === "127.0.0.1"));
  const runsAs = mappedUser(rule, channel, user);
  const isBlocked = rules.some(
    ({ TYPE, USERLIST }) => TYPE === "BLOCKUSER" && USERLIST?.split(",").includes(runsAs ?? ""),
  );
  const needsPassword = rule?.CHCKCLNT === "REQUIRED" || password !== "";
  const isKnown = !needsPassword || (password !== "" && passwords[user] === password);
  // mqm is never let in over a channel: IBM's own rule for administrators.
  if (
    !runsAs ||
    isBlocked ||
    !isKnown ||
    runsAs === "mqm" ||
    !definitions.allows(runsAs, undefined, "CONNECT")
  ) {
    return { reason: RC.NOT_AUTHORIZED };
  }
  return { user: runsAs, channel: channelName };
}
