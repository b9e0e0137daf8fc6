import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import { type Environment, settingsTable } from "../../functions/core/settings.ts";
import { readSettingsAndFiles, SECRET_SETTINGS } from "../../functions/runtimes/node/secret-files.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-secrets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function problemsOf(env: Environment): string {
  try {
    readSettingsAndFiles(env);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe("invalid-settings");
    return (error as MillraceError).message;
  }
  throw new Error("expected a refusal");
}

describe("SECRET_SETTINGS", () => {
  it("has every setting whose name or meaning says that it is a secret, and the URLs that may carry one", () => {
    const secret = settingsTable()
      .map(({ name }) => name)
      .filter(
        (name) =>
          /(SECRET|PASSWORD|TOKEN|URI)$/.test(name) ||
          (name.endsWith("_URL") && !/^(JWKS|UPSTASH)/.test(name)),
      );
    expect([...SECRET_SETTINGS].sort()).toEqual(secret.sort());
  });
});

describe("readSettingsAndFiles", () => {
  it.each([
    ["as it is", "redis://:pass@redis:6379"],
    ["without its line break", "redis://:pass@redis:6379\n"],
    ["without a line break of Windows", "redis://:pass@redis:6379\r\n"],
  ])("takes a secret from its file, %s", (_, content) => {
    expect(readSettingsAndFiles({ REDIS_URL_FILE: file("url", content) }).REDIS_URL).toBe(
      "redis://:pass@redis:6379",
    );
  });

  it("cuts one line break and nothing else", () => {
    expect(readSettingsAndFiles({ MQ_PASSWORD_FILE: file("spaces", " a b \n\n") }).MQ_PASSWORD).toBe(
      " a b \n",
    );
  });

  it("takes the environment where no file is named", () => {
    const env = { AUTH_TOKEN: "t", AUTH_TOKEN_FILE: "", PORT: "1" };
    expect(readSettingsAndFiles(env)).toMatchObject({ AUTH_TOKEN: "t", PORT: 1 });
  });

  it("reads a pipe", () => {
    const script = `import { readSettingsAndFiles } from "./functions/runtimes/node/secret-files.ts";
      console.log(readSettingsAndFiles({ AUTH_TOKEN_FILE: "/dev/stdin" }).AUTH_TOKEN);`;
    // Standard input of a child of Node is a socket, which cannot be opened by a path.
    const shell = 'echo piped | "$0" --input-type=module-typescript -e "$1"';
    expect(execFileSync("sh", ["-c", shell, process.execPath, script], { encoding: "utf8" })).toBe("piped\n");
  });

  it("says each problem of files and settings at once, and shows neither a value nor a path", () => {
    mkdirSync(join(folder, "directory"));
    const problems = problemsOf({
      ...{ REDIS_URL: "redis://:hidden@redis", REDIS_URL_FILE: file("both", "redis://:hidden@redis") },
      AUTH_TOKEN_FILE: "hidden-token",
      MQ_PASSWORD_FILE: join(folder, "directory"),
      JWT_SECRET_FILE: file("short", "hidden"),
      NATS_URL_FILE: file("empty", "\n"),
      AMQP_URL_FILE: file("binary", Uint8Array.of(0xff, 0xfe)),
      MONGODB_URI_FILE: file("large", "h".repeat(16 * 1024 + 1)),
      PORT: "many",
    });
    expect(problems.split("\n  ").sort()).toEqual([
      "AMQP_URL_FILE: is not UTF-8, expected a file with the secret alone",
      "AUTH_TOKEN_FILE: cannot be read (ENOENT), expected the path of a readable file",
      "Cannot use the settings:",
      "JWT_SECRET: expected at least 32 characters (RFC 7518 section 3.2)",
      "MONGODB_URI_FILE: more than 16 KiB, expected a file with the secret alone",
      "MQ_PASSWORD_FILE: cannot be read (EISDIR), expected the path of a readable file",
      "NATS_URL_FILE: is empty, expected a file with the secret",
      "PORT: expected a whole number from 0 to 65535",
      "REDIS_URL, REDIS_URL_FILE: expected one of them, not both",
    ]);
    expect(problems).not.toContain("hidden");
  });

  it("names no setting as missing whose file cannot be read", () => {
    const env = { UPSTASH_REDIS_REST_URL: "https://x.example", UPSTASH_REDIS_REST_TOKEN_FILE: "/nowhere" };
    expect(problemsOf(env).split("\n")).toHaveLength(2);
  });
});

describe("millrace check", () => {
  it("reads secrets from their files, and names the file that cannot be read with the other problems", () => {
    const check = (env: Record<string, string>) =>
      spawnSync(process.execPath, ["bin/millrace.ts", "check", "--print"], {
        env: { PATH: process.env.PATH, ...env },
        encoding: "utf8",
      });
    const good = check({ JWT_SECRET_FILE: file("jwt", `${"s".repeat(32)}\n`) });
    expect(good.stderr).toBe("");
    expect(good.status).toBe(0);
    expect(good.stdout).not.toContain("sss");
    const bad = check({ JWT_SECRET_FILE: "/nowhere", PORT: "x" });
    expect(bad.status).toBe(2);
    expect(bad.stderr).toMatch(/JWT_SECRET_FILE: cannot be read \(ENOENT\)[\s\S]*PORT: expected/);
  });
});
