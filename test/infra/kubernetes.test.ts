import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { defaultOf, dockerfile, KNOWN_NAMES, lineage, ROOT, readText } from "./repository.ts";

type Labels = Readonly<Record<string, string>>;
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface PodSpec {
  readonly containers: readonly [Container];
  readonly volumes: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly secret?: { readonly secretName: string };
  }[];
  readonly enableServiceLinks: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: object;
  readonly topologySpreadConstraints: readonly { readonly labelSelector: { readonly matchLabels: Labels } }[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // What it has is its kind's.
  readonly spec: Readonly<Record<string, never>>;
}
interface Kustomization {
  readonly resources?: readonly string[];
  readonly images?: readonly { readonly name: string }[];
  readonly patches?: readonly { readonly target: { readonly kind: string; readonly name: string } }[];
  readonly configMapGenerator?: readonly {
    readonly name: string;
    readonly behavior?: string;
    readonly envs?: readonly string[];
    readonly files?: readonly string[];
    readonly literals?: readonly string[];
  }[];
}

const FOLDER = "infra/kubernetes";
const kustomizations = [
  "base",
  "components/redis-rest",
  "components/bridge-autoscaling",
  "overlays/production",
].map((path) => ({ path, ...(parse(readText(`${FOLDER}/${path}/kustomization.yaml`)) as Kustomization) }));
const manifests = kustomizations.flatMap(({ path, resources = [] }) =>
  resources
    .filter((name) => name.endsWith(".yaml"))
    .flatMap((name) =>
      parseAllDocuments(readText(`${FOLDER}/${path}/${name}`)).map((one) => one.toJS() as Manifest),
    ),
);
const ofKind = (kind: string) => manifests.filter((one) => one.kind === kind);
const deployments = ofKind("Deployment").map(({ metadata: { name }, spec }) => {
  const { selector, template } = spec as unknown as {
    readonly selector: { readonly matchLabels: Labels };
    readonly template: {
      readonly metadata: { readonly labels: Labels; readonly annotations?: Labels };
      readonly spec: PodSpec;
    };
  };
  return {
    name,
    selector: selector.matchLabels,
    ...template.metadata,
    pod: template.spec,
    container: template.spec.containers[0],
  };
});
/** NAME=value of a generated ConfigMap; later ones win, as a merge does. */
function settingsOf(configMap: string): Readonly<Record<string, string>> {
  const lines = kustomizations.flatMap(({ path, configMapGenerator = [] }) =>
    configMapGenerator
      .filter(({ name }) => name === configMap)
      .flatMap(({ envs = [], literals = [] }) => [
        ...envs.flatMap((file) => readText(`${FOLDER}/${path}/${file}`).trim().split("\n")),
        ...literals,
      ]),
  );
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
}
const matches = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);
/** Has no pods, so that who is led to it finds nobody. */
const NOBODY = "millrace-nobody";
const PORTS: Readonly<Record<string, string>> = {
  "millrace-edge-node": "PORT",
  "millrace-bridge": "BRIDGE_PORT",
  "millrace-redis-rest": "REDIS_REST_PORT",
};

describe("infra/kubernetes", () => {
  it("has kustomizations whose files are there, and no file that none of them names", () => {
    const named = kustomizations.flatMap(({ path, resources = [], configMapGenerator = [] }) => [
      ...resources.map((name) => join(path, name)),
      ...configMapGenerator.flatMap(({ envs = [], files = [] }) =>
        [...envs, ...files.map((file) => file.split("=").at(-1) ?? "")].map((name) => join(path, name)),
      ),
    ]);
    for (const name of named) expect(existsSync(join(ROOT, FOLDER, name)), name).toBe(true);
    const files = kustomizations.flatMap(({ path }) =>
      readdirSync(join(ROOT, FOLDER, path)).map((name) => join(path, name)),
    );
    expect(files.filter((name) => !name.endsWith("kustomization.yaml")).sort()).toEqual(
      named
        .filter((name) => dirname(name) !== ".")
        .filter((name) => /\.\w+$/.test(name))
        .sort(),
    );
  });

  it("has generators that merge into one there is, images that are used and patches that have a target", () => {
    const made = kustomizations.flatMap(({ configMapGenerator = [] }) => configMapGenerator);
    for (const { name } of made.filter(({ behavior }) => behavior === "merge")) {
      expect(
        made.some((one) => one.name === name && one.behavior === undefined),
        name,
      ).toBe(true);
    }
    const images = kustomizations.flatMap(({ images: given = [] }) => given.map(({ name }) => name));
    expect(images.sort()).toEqual(deployments.map(({ container }) => container.image).sort());
    const targets = kustomizations.flatMap(({ patches = [] }) => patches.map(({ target }) => target.name));
    for (const name of targets) expect(Object.keys(PORTS)).toContain(name);
  });

  it("has selectors that select the pods of their own", () => {
    expect(deployments.map(({ name }) => name).sort()).toEqual(Object.keys(PORTS).sort());
    for (const { name, selector, labels, pod } of deployments) {
      expect(matches(selector, labels), name).toBe(true);
      for (const { labelSelector } of pod.topologySpreadConstraints) {
        expect(matches(labelSelector.matchLabels, labels), name).toBe(true);
      }
      for (const kind of ["PodDisruptionBudget", "NetworkPolicy"]) {
        const { spec } = ofKind(kind).find((one) => one.metadata.name === name)!;
        const { selector: own, podSelector } = spec as unknown as Record<
          string,
          { readonly matchLabels: Labels }
        >;
        expect(matches((own ?? podSelector)!.matchLabels, labels), `${kind} ${name}`).toBe(true);
      }
    }
  });

  it("leads each Service, Ingress, autoscaler and policy to what there is", () => {
    const portNames = (name: string) =>
      deployments.find((one) => one.name === name)?.container.ports.map((port) => port.name) ?? [];
    for (const { metadata, spec } of ofKind("Service").filter((one) => one.metadata.name !== NOBODY)) {
      const { selector, ports } = spec as unknown as { selector: Labels; ports: { targetPort: string }[] };
      expect(deployments.filter(({ labels }) => matches(selector, labels)).map(({ name }) => name)).toEqual([
        metadata.name,
      ]);
      for (const { targetPort } of ports) expect(portNames(metadata.name)).toContain(targetPort);
    }
    for (const [, service = "", port] of JSON.stringify(ofKind("Ingress")).matchAll(
      /"service":\{"name":"([^"]+)","port":\{"name":"([^"]+)"/g,
    )) {
      const { spec } = ofKind("Service").find((one) => one.metadata.name === service)!;
      expect((spec as unknown as { ports: { name: string }[] }).ports.map(({ name }) => name)).toContain(
        port,
      );
    }
    const scaled = ofKind("HorizontalPodAutoscaler").map(
      ({ spec }) => (spec as unknown as { scaleTargetRef: { name: string } }).scaleTargetRef.name,
    );
    expect(scaled.sort()).toEqual(["millrace-bridge", "millrace-edge-node"]);
    for (const { metadata, spec } of ofKind("NetworkPolicy")) {
      const { ingress } = spec as unknown as { ingress: { ports: { port: string }[] }[] };
      for (const { port } of ingress.flatMap(({ ports }) => ports))
        expect(portNames(metadata.name)).toContain(port);
    }
  });

  it("leads what is the operator's alone to a Service without pods", () => {
    const nobody = ofKind("Service").find(({ metadata }) => metadata.name === NOBODY)!;
    expect(Object.keys(nobody.spec)).toEqual(["ports"]);
    const { rules } = ofKind("Ingress")[0]!.spec as unknown as {
      rules: { http: { paths: { path: string; backend: { service: { name: string } } }[] } }[];
    };
    for (const { http } of rules) {
      expect(http.paths.map(({ path, backend }) => [path, backend.service.name])).toEqual([
        ["/", "millrace-edge-node"],
        ["/metrics", NOBODY],
        ["/admin", NOBODY],
      ]);
    }
  });

  it("asks for numbers that prometheus-adapter.yaml gives, of metrics there are", () => {
    const { rules } = parse(readText(`${FOLDER}/prometheus-adapter.yaml`)) as {
      rules: Record<"custom" | "external", { seriesQuery: string; name: { matches: string; as?: string } }[]>;
    };
    const given = [...rules.custom, ...rules.external];
    const asked = Array.from(
      JSON.stringify(ofKind("HorizontalPodAutoscaler")).matchAll(/"metric":\{"name":"(\w+)"/g),
      ([, name]) => name,
    );
    expect(asked.sort()).toEqual(given.map(({ name }) => name.as ?? name.matches).sort());
    const metrics = readText("functions/runtimes/node/metrics.ts") + metricsBeside();
    for (const { seriesQuery } of given) expect(metrics).toContain(`"${/^\w+/.exec(seriesQuery)?.[0]}"`);
  });

  it.each(deployments)(
    "has $name with settings there are, secrets where the settings say, and its own port",
    ({ name, pod, container, annotations }) => {
      const settings = Object.assign(
        {},
        ...container.envFrom.map(({ configMapRef }) => {
          const found = settingsOf(configMapRef.name);
          expect(Object.keys(found), configMapRef.name).not.toEqual([]);
          return found;
        }),
      ) as Record<string, string>;
      expect(Object.keys(settings).filter((key) => !KNOWN_NAMES.has(key))).toEqual([]);
      const plain = Object.entries(settings).filter(([key]) => !key.endsWith("_FILE"));
      expect(() => readSettings(Object.fromEntries(plain))).not.toThrow();

      const mounts = new Map(container.volumeMounts.map((mount) => [mount.name, mount.mountPath]));
      expect([...mounts.keys()].sort()).toEqual(pod.volumes.map((volume) => volume.name).sort());
      const secret = pod.volumes.find((volume) => volume.secret !== undefined);
      expect(secret?.secret?.secretName).toBe(name);
      for (const [key, value] of Object.entries(settings).filter(([each]) => each.endsWith("_FILE"))) {
        expect(dirname(value), key).toBe(mounts.get(secret!.name));
      }

      const [{ name: port, containerPort }] = container.ports as [Container["ports"][number]];
      expect(String(containerPort)).toBe(defaultOf(PORTS[name]!));
      for (const probe of [container.startupProbe, container.livenessProbe]) {
        expect(probe.httpGet).toEqual({ path: "/healthz", port });
      }
      expect(container.readinessProbe.httpGet).toEqual({ path: "/ready", port });
      if (annotations) expect(annotations["prometheus.io/port"]).toBe(String(containerPort));

      const drainMs = Number(settings.DRAIN_MS ?? defaultOf("DRAIN_MS"));
      const stopMs = 1000 * ((container.lifecycle?.preStop.sleep.seconds ?? 0) + 5) + drainMs;
      expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(stopMs);
      // What the image runs, with the file of this cluster.
      const image = lineage(dockerfile().stages, name.replace("millrace-", ""));
      expect(image).not.toEqual([]);
      if (container.args) {
        const command = image[0]?.instructions.find((one) => one.name === "CMD")?.text ?? "";
        expect(container.args.slice(0, 3)).toEqual(JSON.parse(command));
      }
    },
  );

  it.each(deployments)(
    "has $name keep to Pod Security's restricted profile, and clear of service variables",
    ({ pod, container }) => {
      expect(pod.enableServiceLinks).toBe(false);
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.securityContext).toMatchObject({
        ...{ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 },
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(container.resources).toMatchObject({
        requests: { cpu: expect.any(String), memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      });
    },
  );

  it("has sources that the bridge takes", () => {
    const env = { AMQP_URL: "amqp://rabbit", NATS_URL: "nats://nats", REDIS_URL: "redis://redis" };
    const text = readText(`${FOLDER}/base/bridge-sources.yaml`);
    const { sources } = parseBridgeConfig(text, readSettings(env), "bridge.yaml");
    expect(sources.map(({ kind }) => kind).sort()).toEqual(["nats", "rabbitmq", "redis-pubsub"]);
    // Kustomize takes no file from outside its folders.
    expect(parse(text)).toEqual(parse(readText("infra/docker/bridge.yaml")));
  });
});

/** The modules beside metrics.ts that define metrics too. */
function metricsBeside(): string {
  const folder = "functions/runtimes/node";
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.startsWith("metrics-"))
    .map((name) => readText(`${folder}/${name}`))
    .join("\n");
}
