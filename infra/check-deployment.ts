/**
 * Checks what deploys: the Dockerfile by a linter, infra/compose.yaml by `docker compose config` and the Kubernetes manifests by `kubectl
 * kustomize`, where these are; neither asks a daemon or a cluster. Exits 0, or 1 with what is wrong. What was left out is said.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ValidationSeverity, validate } from "dockerfile-utils";

const DOCKERFILE = "infra/docker/Dockerfile";
const COMPOSE = "infra/compose.yaml";
const OVERLAY = "infra/kubernetes/overlays/production";

const root = join(import.meta.dirname, "..");

function lintDockerfile(): string[] {
  const problems = validate(readFileSync(join(root, DOCKERFILE), "utf8"), {
    instructionCasing: ValidationSeverity.ERROR,
    deprecatedMaintainer: ValidationSeverity.ERROR,
    instructionCmdMultiple: ValidationSeverity.ERROR,
    instructionEntrypointMultiple: ValidationSeverity.ERROR,
    instructionHealthcheckMultiple: ValidationSeverity.ERROR,
    instructionJSONInSingleQuotes: ValidationSeverity.ERROR,
    instructionWorkdirRelative: ValidationSeverity.ERROR,
    emptyContinuationLine: ValidationSeverity.ERROR,
  });
  return problems.map(({ range, message }) => `${DOCKERFILE}:${range.start.line + 1}: ${message}`);
}

/** What a program says against it. Where the program does not know its own version it is not there. */
function ask(command: string, version: readonly string[], args: readonly string[]): string[] {
  const run = (of: readonly string[]) => spawnSync(command, of, { cwd: root, encoding: "utf8" });
  const said = [command, ...args].join(" ");
  if (run(version).status !== 0) {
    console.log(`left out, for want of the program: ${said}`);
    return [];
  }
  const { status, stderr } = run(args);
  return status === 0 ? [] : [`${said}: ${stderr.trim()}`];
}

const problems = [
  ...lintDockerfile(),
  // Of every profile, and without the secrets: their files are not read here.
  ...ask("docker", ["compose", "version"], ["compose", "-f", COMPOSE, "--profile", "*", "config", "-q"]),
  ...ask("kubectl", ["version", "--client"], ["kustomize", OVERLAY]),
];
for (const problem of problems) console.error(problem);
if (problems.length === 0) console.log("What deploys is as its checkers want it");
process.exitCode = problems.length === 0 ? 0 : 1;
