import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { connect } from "@nats-io/transport-node";
import { createClient } from "redis";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import { readSettingsAndFiles } from "../../functions/runtimes/node/secret-files.ts";
import { freePort, start } from "../support/process.ts";
import { accepts, missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { dockerfile, KNOWN_NAMES, ROOT, readText, repositoryFiles } from "./repository.ts";

interface Service {
  readonly image: string;
  readonly build?: {
    readonly target: string;
    readonly context: string;
    readonly dockerfile: string;
    readonly args?: object;
  };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly secrets?: readonly (string | { readonly source: string; readonly target: string })[];
  readonly volumes?: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly command?: readonly string[];
  readonly read_only: boolean;
  readonly init?: boolean;
  readonly ulimits?: object;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly stop_grace_period?: string;
  readonly deploy: { readonly resources: { readonly limits: object } };
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, object>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const compose = parse(readText("infra/compose.yaml"), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build !== undefined);

const folder = mkdtempSync(join(tmpdir(), "millrace-compose-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const secrets = join(folder, "secrets");
const makeSecrets = () =>
  execFileSync("sh", ["infra/make-secrets.sh", secrets], { cwd: ROOT, encoding: "utf8" });
const secret = (name: string) => readFileSync(join(secrets, name), "utf8").trim();
makeSecrets();

/** A value as Compose reads it where no variable is set. */
const withDefaults = (value: string) => value.replace(/^\$\{\w+:-(.*)\}$/, "$1");

const secretsOf = ({ secrets: given = [] }: Service) =>
  given.map((one) => (typeof one === "string" ? { source: one, target: one } : one));

describe("infra/make-secrets.sh", () => {
  it("makes every file that compose names, for nobody else on the machine", () => {
    for (const { file } of Object.values(compose.secrets)) {
      expect(file).toMatch(/^\.\.\/\.millrace\/secrets\//);
      expect(existsSync(join(secrets, file.split("/").at(-1) ?? "")), file).toBe(true);
    }
    expect(statSync(secrets).mode & 0o777).toBe(0o700);
  });

  it("changes nothing that is there, and makes what is lost to fit the rest", () => {
    const contents = () => Object.fromEntries(readdirSync(secrets).map((name) => [name, secret(name)]));
    const before = contents();
    rmSync(join(secrets, "redis-auth.conf"));
    rmSync(join(secrets, "rabbitmq-definitions.json"));
    expect(makeSecrets().trim().split("\n")).toHaveLength(2);
    expect(contents()).toEqual(before);
  });

  it("gives the two users of RabbitMQ their passwords, and leaves the definitions as they are", () => {
    const { users, ...rest } = JSON.parse(secret("rabbitmq-definitions.json"));
    const { users: _, ...shipped } = JSON.parse(readText("infra/rabbitmq/definitions.json"));
    expect(rest).toEqual(shipped);
    const passwordOf = (name: string) => new URL(secret(name)).password;
    expect(users).toEqual([
      { name: "publisher", password: passwordOf("amqp-publisher-url"), tags: [] },
      { name: "bridge", password: passwordOf("amqp-url"), tags: [] },
    ]);
  });
});

describe("infra/compose.yaml", () => {
  it("sets settings there are, which with the secrets made are valid", () => {
    expect(ours.map(([name]) => name)).toEqual(["edge-node", "bridge", "redis-rest"]);
    for (const [name, { environment = {} }] of ours) {
      expect(
        [...Object.keys(environment)].filter((key) => !KNOWN_NAMES.has(key)),
        name,
      ).toEqual([]);
      const env = Object.entries(environment).map(([key, value]) => {
        const text = withDefaults(String(value));
        return [key, text.replace("/run/secrets", secrets)];
      });
      const settings = readSettingsAndFiles(Object.fromEntries(env));
      expect(settings.REDIS_URL).toMatch(/^redis:\/\/default:\w+@redis:6379$/);
      if (name === "bridge") {
        const file = readText("infra/docker/bridge.yaml");
        expect(parseBridgeConfig(file, settings, "bridge.yaml").sources.map((source) => source.kind)).toEqual(
          expect.arrayContaining(["rabbitmq", "nats", "redis-pubsub"]),
        );
      }
    }
  });

  it("gives each service the secrets it reads, and no other", () => {
    const used = new Set<string>();
    for (const [name, service] of services) {
      const given = secretsOf(service);
      for (const { source } of given) {
        expect(compose.secrets, name).toHaveProperty([source]);
        used.add(source);
      }
      const text = JSON.stringify([service.environment, service.command, service.healthcheck]);
      for (const [, target] of text.matchAll(/\/run\/secrets\/([\w.-]+)/g)) {
        expect(
          given.map((one) => one.target),
          name,
        ).toContain(target);
      }
      // Ours read nothing but what a setting names.
      if (service.build) for (const { target } of given) expect(text).toContain(`/run/secrets/${target}"`);
    }
    expect([...used].sort()).toEqual(Object.keys(compose.secrets).sort());
    for (const [config, service] of [
      ["infra/redis/redis.conf", "redis"],
      ["infra/mongodb/user.js", "mongodb"],
      ["infra/rabbitmq/compose.conf", "rabbitmq"],
      ["infra/nginx/compose.sh", "nginx"],
    ] as const) {
      for (const [, target] of readText(config).matchAll(/\/run\/secrets\/([\w.-]+\w)/g)) {
        expect(
          secretsOf(compose.services[service]!).map((one) => one.target),
          config,
        ).toContain(target);
      }
    }
  });

  it("names files, volumes, networks, stages and services that are there", () => {
    const files = repositoryFiles();
    const volumes = new Set<string>();
    for (const [name, service] of services) {
      for (const volume of service.volumes ?? []) {
        const [source = "", , mode] = volume.split(":");
        if (!source.startsWith(".")) {
          volumes.add(source);
          continue;
        }
        const path = normalize(join("infra", source));
        expect(
          files.some((file) => file === path || file.startsWith(`${path}/`)),
          volume,
        ).toBe(true);
        expect(mode, volume).toBe("ro");
      }
      for (const network of service.networks) expect(compose.networks, name).toHaveProperty(network);
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services, name).toHaveProperty(other);
        if (condition === "service_healthy")
          expect(compose.services[other]?.healthcheck, other).toBeDefined();
      }
      if (service.build) {
        const { target, context, dockerfile: path, args = {} } = service.build;
        expect(dockerfile().stages.map((stage) => stage.name)).toContain(target);
        expect([context, path]).toEqual(["..", "infra/docker/Dockerfile"]);
        for (const arg of Object.keys(args)) expect(dockerfile().args.has(arg)).toBe(true);
      } else {
        expect(service.image, name).toMatch(/:v?\d+\.\d+/);
      }
    }
    expect([...volumes].sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  it("lets no service do more than it must", () => {
    for (const [name, service] of services) {
      expect(service.cap_drop, name).toEqual(["ALL"]);
      expect(service.security_opt, name).toEqual(["no-new-privileges:true"]);
      expect(service.read_only, name).toBe(name !== "ibm-mq");
      expect(Object.keys(service.deploy.resources.limits).sort(), name).toEqual(["cpus", "memory", "pids"]);
      expect(service.ulimits, name).toEqual({ nofile: 65536 });
      // As process 1 a Node ignores the SIGTERM that comes before it listens for one.
      expect(service.init === true, name).toBe(service.build !== undefined);
    }
  });

  it("shows Redis and MongoDB to nobody outside, and ports to this machine alone unless asked", () => {
    expect(compose.networks.store?.internal).toBe(true);
    for (const name of ["redis", "mongodb"]) {
      expect(compose.services[name]).toMatchObject({ networks: ["store"] });
      expect(compose.services[name]?.ports).toBeUndefined();
    }
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) expect(port).toMatch(/^(127\.0\.0\.1|\$\{BIND_ADDRESS:-127\.0\.0\.1\}):/);
  });

  it("waits longer for a server than it drains", () => {
    const { environment, stop_grace_period } = compose.services["edge-node"]!;
    expect(Number.parseInt(stop_grace_period ?? "", 10) * 1000).toBeGreaterThan(
      Number(environment?.DRAIN_MS) + 5000,
    );
  });

  it("asks every service for its health, in a way that its image has", () => {
    for (const [name, service] of services) {
      const isOurs = service.build !== undefined;
      expect(isOurs || service.healthcheck !== undefined, name).toBe(true);
      if (isOurs && service.healthcheck) {
        expect(service.healthcheck.test.slice(1, 3)).toEqual(["node", "infra/docker/health.ts"]);
        expect(["/healthz", "/ready"]).toContain(service.healthcheck.test[4]);
      }
    }
  });
});

/** A configuration of the containers, for a server here: the paths of the container and the ports replaced. */
function adapted(path: string, edits: Readonly<Record<string, string>>): string {
  let text = readText(path);
  for (const [from, to] of Object.entries(edits)) {
    expect(text, path).toContain(from);
    text = text.replaceAll(from, to);
  }
  const file = join(folder, path.split("/").at(-1) ?? "");
  writeFileSync(file, text);
  return file;
}

describe("the servers of infra/compose.yaml", () => {
  const noRedis = missing("redis-server");
  it.skipIf(noRedis)(
    `redis-server takes its configuration and asks for the password${noRedis ? `: ${noRedis}` : ""}`,
    async () => {
      const port = await freePort();
      const conf = adapted("infra/redis/redis.conf", {
        "/run/secrets": secrets,
        "dir /data": `dir ${folder}`,
      });
      const [, , ...further] = compose.services.redis?.command ?? [];
      const own = ["--port", String(port), "--bind", "127.0.0.1"];
      const server = start("redis-server", [conf, ...further.map(withDefaults), ...own]);
      try {
        await waitFor("redis-server", () => accepts(port));
        const url = secret("redis-url").replace("redis:6379", `127.0.0.1:${port}`);
        const client = await createClient({ url }).connect();
        expect(await client.configGet("maxmemory-policy")).toEqual({ "maxmemory-policy": "noeviction" });
        expect(await client.configGet("appendonly")).toEqual({ appendonly: "yes" });
        expect(await client.configGet("appendfsync")).toEqual({ appendfsync: "always" });
        expect(await client.configGet("maxmemory")).toEqual({ maxmemory: String(1024 ** 3) });
        client.destroy();
        const options = { url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } } as const;
        const stranger = createClient(options).on("error", () => {});
        await expect(stranger.connect().then(() => stranger.get("x"))).rejects.toThrow("NOAUTH");
      } finally {
        await server.stop();
      }
    },
  );

  const noNats = missing("nats-server");
  it.skipIf(noNats)(
    `nats-server takes its configuration and lets in the two users${noNats ? `: ${noNats}` : ""}`,
    async () => {
      const [port, http] = [await freePort(), await freePort()];
      const conf = adapted("infra/nats/nats.conf", {
        "0.0.0.0:4222": `127.0.0.1:${port}`,
        "0.0.0.0:8222": `127.0.0.1:${http}`,
        "/data": join(folder, "nats"),
        "./nats-passwords.conf": "./secrets/nats-passwords.conf",
      });
      const server = start("nats-server", ["-c", conf]);
      try {
        await waitFor("nats-server", async () => {
          if (server.child.exitCode !== null) throw new Error(server.output());
          return accepts(port);
        });
        const servers = `127.0.0.1:${port}`;
        for (const name of ["nats-url", "nats-publisher-url"]) {
          const { username, password } = new URL(secret(name));
          const connection = await connect({ servers, user: username, pass: password });
          expect(connection.info?.jetstream).toBe(true);
          await connection.close();
        }
        await expect(connect({ servers, reconnect: false })).rejects.toThrow(/authorization/i);
        // As its health check asks.
        expect((await fetch(`http://127.0.0.1:${http}/healthz`)).status).toBe(200);
      } finally {
        await server.stop();
      }
    },
  );

  const noNginx = missing("nginx") ?? missing("openssl");
  it.skipIf(noNginx)(`nginx takes its configuration${noNginx ? `: ${noNginx}` : ""}`, () => {
    const run = (command: string, args: readonly string[]) => {
      const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
      const { stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", env });
      return stdout + stderr;
    };
    let text = run("sh", ["infra/nginx/compose.sh", "events.example.org"]);
    expect(text).toContain("server_name events.example.org;");
    // Nothing of the host's is left, but what the comments say.
    expect(text.replace(/^#.*\n/gm, "")).not.toMatch(/EDIT|127\.0\.0\.1:87|\/etc\/ssl|\/var\//);
    const [, minor = "0", patch = "0"] = /nginx\/1\.(\d+)\.(\d+)/.exec(run("nginx", ["-v"])) ?? [];
    // Known from 1.27.3 on; before, a name is looked up at the start, and there is no such one here.
    if (Number(minor) * 1000 + Number(patch) < 27_003) {
      text = text.replace("server edge-node:8787 resolve ", "server 127.0.0.1:8787 ");
    }
    mkdirSync(join(folder, "tmp"));
    writeFileSync(
      join(folder, "tmp/millrace.conf"),
      text
        .replaceAll("/tmp/", `${folder}/tmp/`)
        .replaceAll("/run/secrets", secrets)
        .replaceAll("/dev/stdout", `${folder}/access.log`),
    );
    const conf = adapted("infra/nginx/compose.conf", { "/tmp/": `${folder}/tmp/` });
    expect(run("nginx", ["-t", "-e", "stderr", "-p", folder, "-c", conf])).toContain("test is successful");
  });
});
