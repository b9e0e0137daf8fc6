/** One service floods the channels of a real Redis: nobody else is the worse for it, and what was left out is said. */
import { connect } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, it, onTestFinished } from "vitest";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import { startBridge } from "../../bridge/main.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { createMemoryDeadLetters, createMemoryTelemetry } from "./memory-log.ts";

const FLOOD_SECONDS = 4;
const LINES_PER_SECOND = 10_000;
/** Milliseconds between two bursts of the flood. */
const EVERY_MS = 20;

it("a service that logs 10,000 lines/s: statuses and other services' lines arrive at once, the sums add up", {
  timeout: 60_000,
}, async (context) => {
  const why = missing("redis-server");
  if (why) return context.skip(why);
  await using server = await startRedis();
  // A client library would need more of this process than the bridge does.
  const socket = connect(server.port, "127.0.0.1").resume();
  onTestFinished(() => {
    socket.destroy();
  });
  const stored: { readonly event: MillraceEvent; readonly atMs: number }[] = [];
  await using bridge = startBridge({
    config: parseBridgeConfig(
      "sources: [{ name: services, kind: redis-pubsub, channels: ['service:*', 'logs:*'] }]",
      {
        REDIS_URL: server.url,
      },
    ),
    log: {
      append: async (events) => {
        for (const event of events) stored.push({ event, atMs: Date.now() });
        return events.map(() => ({ cursor: "0.0-0" as never, isNew: true }));
      },
    },
    telemetry: createMemoryTelemetry(),
    deadLetters: createMemoryDeadLetters(),
    logger: silent,
  });
  const stats = () => bridge.stats()[0]!;
  await waitFor("the bridge", () => stats().state === "up");

  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  /** The command PUBLISH, as the protocol of Redis has it. */
  const tell = (channel: string, body: object) => {
    const parts = ["PUBLISH", channel, JSON.stringify(body)];
    return [`*3`, ...parts.flatMap((part) => [`$${part.length}`, part]), ""].join("\r\n");
  };
  let flooded = 0;
  let others = 0;
  const startMs = Date.now();
  while (Date.now() - startMs < FLOOD_SECONDS * 1000) {
    const burst: string[] = [];
    const ts = new Date().toISOString();
    while (flooded < ((Date.now() - startMs) / 1000) * LINES_PER_SECOND) {
      const line = { ts, level: "debug", service: "flood", message: "again", n: flooded++ };
      burst.push(tell("logs:all", line), tell("logs:flood", line));
    }
    const n = others++;
    burst.push(tell("logs:all", { ts, level: "info", service: "quiet", message: "fine", n }));
    burst.push(tell("service:all", { ts, service: "quiet", state: "running", processed: n }));
    socket.write(burst.join(""));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  delay.disable();

  const of = (service: string, type: string) =>
    stored
      .map(({ event, atMs }) => ({ ...event, atMs, data: JSON.parse(event.data) }))
      .filter((event) => event.data.service === service && event.type === type);
  const leftOut = () => of("flood", "log_line").filter(({ data }) => data.leftOut !== undefined);
  const sum = () => leftOut().reduce((total, { data }) => total + data.leftOut, 0);
  await waitFor("all of them", () => {
    const floodLines = of("flood", "log_line").length - leftOut().length;
    return of("quiet", "service_status").length === others && floodLines + sum() === flooded;
  });
  expect(of("quiet", "log_line").map(({ data }) => data.n)).toEqual(
    Array.from({ length: others }, (_, n) => n),
  );
  for (const { atMs, time } of [...of("quiet", "service_status"), ...of("quiet", "log_line")]) {
    expect(atMs - Date.parse(time)).toBeLessThan(1_000);
  }
  // What was left out was counted as well, and said once a second.
  expect(stats()).toMatchObject({ leftOut: sum(), dropped: 0, deadLettered: 0 });
  expect(flooded).toBeGreaterThan(LINES_PER_SECOND * (FLOOD_SECONDS - 1));
  expect(flooded - sum()).toBeLessThan(1_000 + 100 * (FLOOD_SECONDS + 2));
  expect(leftOut().length).toBeLessThanOrEqual(FLOOD_SECONDS + 2);
  for (const { companyId, data } of leftOut()) {
    expect({ companyId, ...data }).toMatchObject({
      ...{ companyId: "_logs", level: "warn", service: "flood" },
      message: `${data.leftOut} ${data.leftOut === 1 ? "line" : "lines"} left out: over 100 a second`,
    });
  }
  expect(new Set(stored.map(({ event }) => event.companyId))).toEqual(new Set(["_logs", "_operations"]));
  expect(delay.max / 1e6).toBeLessThan(1_000);
  console.log({
    flooded,
    others,
    leftOut: sum(),
    maxDelayMs: delay.max / 1e6,
    meanDelayMs: delay.mean / 1e6,
  });
});
