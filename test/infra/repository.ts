/** What the files that deploy are compared with: what git has, and the settings. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { settingsTable } from "../../functions/core/settings.ts";
import { SECRET_SETTINGS } from "../../functions/runtimes/node/secret-files.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export const readText = (path: string): string => readFileSync(`${ROOT}/${path}`, "utf8");

/** Paths of the files that git has, or would have: all but those that are ignored. */
export function repositoryFiles(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  return execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim().split("\n");
}

/** The names a process of Millrace knows: its settings, and NAME_FILE of those that are secrets. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([
  ...settingsTable().map(({ name }) => name),
  ...SECRET_SETTINGS.map((name) => `${name}_FILE`),
]);

/** The default of a setting. */
export function defaultOf(setting: string): string | undefined {
  return settingsTable().find(({ name }) => name === setting)?.fallback;
}

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  /** Of `FROM base AS name`. */
  readonly base: string;
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

/** The Dockerfile: the arguments before its stages, and the stages; lines joined, `${NAME}` as `$NAME`. */
export function dockerfile(): { readonly args: ReadonlyMap<string, string>; readonly stages: Stage[] } {
  const lines = readText("infra/docker/Dockerfile")
    .replace(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .replaceAll(/\$\{(\w+)\}/g, "$$$1")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const args = new Map<string, string>();
  const stages: { base: string; name: string; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, name = "", text = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === "FROM") {
      const [, base = "", stage = ""] = /^(\S+) AS (\S+)$/.exec(text) ?? [];
      stages.push({ base, name: stage, instructions: [] });
    } else if (stages.length > 0) {
      stages.at(-1)!.instructions.push({ name, text });
    } else if (name === "ARG") {
      const [key = "", value = ""] = text.split("=");
      args.set(key, value);
    }
  }
  return { args, stages };
}

/** The stage and those it is built from, the nearest first. */
export function lineage(stages: readonly Stage[], name: string): Stage[] {
  const stage = stages.find((one) => one.name === name);
  return stage === undefined ? [] : [stage, ...lineage(stages, stage.base)];
}

/** Source and target of what a stage takes from the repository. */
export function copied(stages: readonly Stage[]): { readonly source: string; readonly target: string }[] {
  return stages.flatMap(({ instructions }) =>
    instructions
      .filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"))
      .flatMap(({ text }) => {
        const parts = text.split(/\s+/);
        const target = parts.pop() ?? "";
        return parts.map((source) => ({ source, target }));
      }),
  );
}
