/**
 * `/metrics` of a Worker. No process is behind it that could count since its start, so it says what the store knows: gauges over all running
 * instances, for one command and a size for each company. No label names a company: whoever may scrape may not see who the customers are.
 */
import type { AppDeps } from "../functions/app.ts";
import type { ServiceStore } from "../functions/service.ts";

export function createWorkerMetrics({
  registry,
  log,
}: Pick<ServiceStore, "registry" | "log">): AppDeps["metrics"] {
  return async () => {
    const [reported, kept] = await Promise.all([registry.connectionsByCompany(""), log.stats()]);
    const open = Object.values(reported).filter((connections) => connections > 0);
    const gauges = [
      ["millrace_connections", "Open streams, over all instances", open.reduce((sum, n) => sum + n, 0)],
      ["millrace_active_companies", "Companies with an open stream, over all instances", open.length],
      ["millrace_log_companies", "Companies with events in the log", kept.companies],
      ["millrace_log_events", "Events in the log", kept.totalEvents],
    ] as const;
    return {
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: gauges
        .map(([name, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`)
        .join(""),
    };
  };
}
