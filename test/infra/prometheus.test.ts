/**
 * Alerts and board against the real thing: promtool runs their tests, every name they use is one that a running server or bridge has, and a real
 * Prometheus that scrapes them has an answer for what the board asks.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { freePort, type RunningProcess, start } from "../support/process.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const reason = missing("prometheus");
const run = promisify(execFile);
/** Resolves with what it says; rejects with it where it finds something. */
const promtool = async (...args: string[]) => {
  const { stdout, stderr } = await run("promtool", args).catch(({ stdout, stderr }) => {
    throw new Error(stdout + stderr);
  });
  return stdout + stderr;
};

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
}
interface AlertTest {
  readonly name: string;
  readonly promql_expr_test: readonly {
    readonly expr: string;
    readonly exp_samples: readonly { readonly labels: string }[];
  }[];
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly links?: readonly { readonly url: string }[];
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
    readonly refId: string;
  }[];
  readonly datasource?: { readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}
interface Board {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
}

const read = (path: string) => readFileSync(path, "utf8");
const { groups } = parse(read("infra/prometheus/alerts.yml")) as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);
const { tests } = parse(read("infra/prometheus/alerts.test.yml")) as { tests: AlertTest[] };
const board = JSON.parse(read("infra/grafana/millrace.json")) as Board;
const panels = board.panels.filter(({ type }) => type !== "row");
/** As Grafana fills the variables in for "All", with rates over ten scrapes of this test. */
const fill = (expr: string) =>
  expr.replace(/\$(?:job|instance)/g, ".+").replaceAll("$__rate_interval", "10s");
const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr: fill(expr) }))),
  ...board.annotations.list.flatMap(({ name, expr }) => (expr ? [{ title: name, expr: fill(expr) }] : [])),
];

const folder = mkdtempSync(join(tmpdir(), "millrace-prometheus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const kebab = (name: string) => name.replace(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();

describe("infra/prometheus", () => {
  it("alerts.yml: each says how bad it is, for how long, what it means and where to read on", () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { alert, labels, annotations, for: duration } of alerts) {
      expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(?:critical|warning)$/)]);
      expect(duration, alert).toMatch(/^\d+[mh]$/);
      expect(annotations, alert).toEqual({
        summary: expect.stringMatching(/.{20}/),
        description: expect.stringMatching(/.{60}/),
        runbook: `docs/operations.md#${kebab(alert)}`,
      });
    }
  });

  it("docs/operations.md has a heading for each, so that its link leads there", () => {
    const headings = Array.from(
      read("docs/operations.md").matchAll(/^### (millrace-\S+)$/gm),
      ([, name]) => name,
    );
    expect(headings.sort()).toEqual(alerts.map(({ alert }) => kebab(alert)).sort());
  });

  it("alerts.test.yml: each is shown to fire, with all labels its text names, and not to fire too", () => {
    expect(tests.map(({ name }) => name)).toEqual(alerts.map(({ alert }) => alert));
    for (const [at, { name, promql_expr_test }] of tests.entries()) {
      const [early, late] = promql_expr_test;
      expect([name, early?.exp_samples, late?.expr]).toEqual([
        name,
        [],
        expect.stringContaining(`"${name}"`),
      ]);
      const fired = late!.exp_samples.map(({ labels }) => labels);
      expect(fired.length, name).toBeGreaterThan(0);
      const { summary, description } = alerts[at]!.annotations;
      for (const [, label] of `${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)) {
        for (const labels of fired)
          expect([name, labels]).toEqual([name, expect.stringContaining(`${label}="`)]);
      }
    }
  });

  it("promtool finds nothing wrong with rules, configuration and tests", async (context) => {
    if (reason !== undefined) context.skip(reason);
    expect(await promtool("check", "rules", "infra/prometheus/alerts.yml")).toContain(
      `${alerts.length} rules`,
    );
    expect(await promtool("check", "config", "infra/prometheus/prometheus.yml")).toContain("SUCCESS");
    expect(await promtool("test", "rules", "infra/prometheus/alerts.test.yml")).toContain("SUCCESS");
  });
});

describe("infra/grafana/millrace.json", () => {
  it("its panels lie beside each other, each with a text, a unit and a legend", () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of board.panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const cell = `${column} ${line}`;
          expect([title, taken.get(cell)]).toEqual([title, undefined]);
          taken.set(cell, title);
        }
      }
    }
    for (const { title, type, description, targets, datasource, fieldConfig } of panels) {
      expect([title, description]).toEqual([title, expect.stringMatching(/^[^ ].{15,}[.]$/s)]);
      expect([title, datasource?.uid]).toEqual([title, expect.stringMatching(/^\$\{datasource\}$/)]);
      if (type === "stat" || type === "timeseries")
        expect([title, fieldConfig?.defaults.unit]).not.toContain(undefined);
      for (const { legendFormat, expr } of targets ?? []) {
        expect(legendFormat, title).not.toBe("");
        const by = new Set(
          Array.from(expr.matchAll(/\bby \(([^)]+)\)/g), ([, labels]) => labels!.split(", ")).flat(),
        );
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          if (by.size > 0) expect([title, [...by]]).toEqual([title, expect.arrayContaining([label])]);
        }
      }
    }
    const names = board.templating.list.map(({ name }) => name);
    expect(names).toEqual(["datasource", "job", "instance", "runbook"]);
  });

  it("leads to the row of the runbook of alerts there are, and to each at least once", () => {
    const anchors = new Set(panels.flatMap(({ links = [] }) => links.map(({ url }) => url.split("#")[1])));
    expect([...anchors].sort()).toEqual(alerts.map(({ alert }) => kebab(alert)).sort());
  });

  it("promtool can read every query", async (context) => {
    if (reason !== undefined) context.skip(reason);
    const rules = queries.map(({ expr }, at) => ({ record: `query:${at}`, expr }));
    const path = join(folder, "queries.json");
    // JSON is YAML.
    writeFileSync(path, JSON.stringify({ groups: [{ name: "board", rules }] }));
    expect(await promtool("check", "rules", path)).toContain(`${rules.length} rules`);
  });
});

describe("a server and a bridge that run", () => {
  const processes: RunningProcess[] = [];
  const urls: Record<"edge" | "bridge", string> = { edge: "", bridge: "" };
  const stop = new AbortController();

  beforeAll(async () => {
    const [port, tcp, bridgePort] = [await freePort(), await freePort(), await freePort()];
    const env = { HOST: "127.0.0.1", DATA_DIR: join(folder, "data"), BROKER_ADDR: "", LOG_LEVEL: "warn" };
    const up = start(process.execPath, ["bin/millrace.ts", "up"], {
      env: { ...env, PORT: String(port), TCP_PORT: String(tcp), HTTP_PORT: "0" },
    });
    processes.push(up);
    urls.edge = `http://127.0.0.1:${port}`;
    urls.bridge = `http://127.0.0.1:${bridgePort}`;
    await waitFor("millrace", () => up.output().includes("millrace ready"));
    const bridge = start(process.execPath, ["bin/millrace.ts", "bridge"], {
      env: { ...env, BRIDGE_PORT: String(bridgePort), BROKER_ADDR: `127.0.0.1:${tcp}` },
    });
    processes.push(bridge);
    await waitFor("the bridge", async () => {
      if (bridge.child.exitCode !== null) throw new Error(bridge.output());
      return (await fetch(`${urls.bridge}/ready`)).ok;
    });
    const stream = await fetch(`${urls.edge}/stream/updates?companyId=acme`, { signal: stop.signal });
    void stream.body?.pipeTo(new WritableStream()).catch(() => {});
  });
  afterAll(async () => {
    stop.abort();
    await Promise.all(processes.map((process) => process.stop()));
  });

  /** What a scrape may hold: each with what its type adds. */
  const namesOf = async (url: string) => {
    const body = await (await fetch(`${url}/metrics`)).text();
    const names = Array.from(body.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name, type]) => {
      if (type === "histogram") return ["bucket", "sum", "count"].map((part) => `${name}_${part}`);
      return type === "summary" ? [name, `${name}_sum`, `${name}_count`] : [name];
    });
    return new Set(names.flat());
  };

  it("have every metric that the alerts and the board ask for", async () => {
    const [edge, bridge] = [await namesOf(urls.edge), await namesOf(urls.bridge)];
    // A bridge has nothing that a server with a bridge in it has not.
    expect([...bridge].filter((name) => !edge.has(name))).toEqual([]);
    const asked = [...alerts, ...queries].flatMap(({ expr }) =>
      Array.from(
        // Neither what is in quotes nor labels are names of metrics.
        expr
          .replace(/"[^"]*"/g, "")
          .replace(/\b(?:by|on) \([^)]*\)/g, "")
          .matchAll(/\b(?:millrace|nodejs|process)_\w+/g),
        ([name]) => name,
      ),
    );
    expect(asked.length).toBeGreaterThan(100);
    expect([...new Set(asked)].filter((name) => !edge.has(name))).toEqual([]);
    // Nor is there a number of ours that nobody looks at.
    const unseen = [...edge].filter((name) => name?.startsWith("millrace_") && !asked.includes(name));
    expect(unseen.sort()).toEqual([
      "millrace_delivery_seconds_sum",
      "millrace_source_info",
      "millrace_store_call_seconds_sum",
    ]);
  });

  it("are scraped by a real Prometheus, which answers what the board asks", async (context) => {
    if (reason !== undefined) context.skip(reason);
    const port = await freePort();
    const target = (url: string) => ({ static_configs: [{ targets: [url.replace("http://", "")] }] });
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      rule_files: [join(process.cwd(), "infra/prometheus/alerts.yml")],
      scrape_configs: [
        { job_name: "millrace-edge", ...target(urls.edge) },
        { job_name: "millrace-bridge", ...target(urls.bridge) },
      ],
    };
    mkdirSync(join(folder, "prometheus"));
    writeFileSync(join(folder, "prometheus.json"), JSON.stringify(config));
    const prometheus = start("prometheus", [
      ...[`--config.file=${join(folder, "prometheus.json")}`, `--web.listen-address=127.0.0.1:${port}`],
      `--storage.tsdb.path=${join(folder, "prometheus")}`,
    ]);
    processes.push(prometheus);
    const ask = async <T>(path: string): Promise<T> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
      const { data, error } = (await response.json()) as { data: T; error?: string };
      if (error !== undefined) throw new Error(error);
      return data;
    };
    type Result = { readonly result: readonly { readonly value: readonly [number, string] }[] };
    const unanswered = async () => {
      const answers = await Promise.all(
        queries.map(async ({ title, expr }) => {
          const { result } = await ask<Result>(`query?query=${encodeURIComponent(expr)}`);
          return result.some(({ value }) => value[1] !== "NaN") ? undefined : `${title}: ${expr}`;
        }),
      );
      return answers.filter((answer) => answer !== undefined);
    };
    // What there is none of here: brokers that keep messages, and trouble.
    const silent = /_lag_|millrace_source_retention_headroom|> 0$/;
    let left: string[] = [];
    await waitFor("an answer to every query", async () => {
      left = (await unanswered()).filter((query) => !silent.test(query));
      return left.length === 0;
    }).catch((cause) => {
      throw new Error(`no answer to:\n${left.join("\n")}\n${prometheus.output().slice(-1_000)}`, { cause });
    });
    const up = await ask<Result>("query?query=count(up%20%3D%3D%201)");
    expect(up.result[0]?.value[1]).toBe("2");
    const evaluated = await waitFor("the alerts to be evaluated", async () => {
      const { groups: seen } = await ask<{
        groups: { rules: { health: string; state: string; name: string }[] }[];
      }>("rules");
      const rules = seen.flatMap(({ rules: own }) => own);
      return rules.every(({ health }) => health !== "unknown") && rules;
    });
    expect(evaluated.map(({ name, health }) => `${name} ${health}`).sort()).toEqual(
      alerts.map(({ alert }) => `${alert} ok`).sort(),
    );
    // The demo sends nothing that cannot be stored, and nobody is slow.
    expect(evaluated.filter(({ state }) => state === "firing")).toEqual([]);
  });
});
