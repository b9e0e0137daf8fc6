import { describe, expect, test } from "vitest";
import { dcgmReadings, demoTelemetry } from "../../bridge/producers/dcgm.ts";
import { DCGM_COLUMNS } from "../../bridge/producers/dcgm-row.ts";
import { encodeBody, encodeCloudEvent, type Message } from "../../bridge/producers/message.ts";
import { demoMetrics } from "../../bridge/producers/metrics.ts";
import { type Clock, produce } from "../../bridge/producers/produce.ts";
import { parseEvent } from "../../functions/core/event.ts";

/** Numbers in [0, 1) that are the same in every run (a linear congruential generator, Numerical Recipes). */
function createRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function take<T>(items: Iterator<T>, count: number): T[] {
  return Array.from({ length: count }, () => items.next().value as T);
}

const fixed = () => {
  let id = 0;
  return { random: createRandom(), now: () => Date.UTC(2026, 0, 31), newId: () => `id-${id++}` };
};
const companies = ["acme", "globex"];

describe.each([
  ["demoMetrics", demoMetrics],
  ["demoTelemetry", demoTelemetry],
] as const)("%s", (_, generate) => {
  test("gives the same messages for the same random numbers, clock and ids", () => {
    const [one, two] = [fixed(), fixed()].map((from) => take(generate({ companies, ...from }), 500));
    expect(one).toEqual(two);
  });

  test("gives messages that are events of the companies as they are, in both wire forms, with ids of their own", () => {
    const messages = take(generate({ companies }), 500);
    expect(new Set(messages.map((message) => message.id)).size).toBe(500);
    expect(new Set(messages.map((message) => message.companyId))).toEqual(new Set(companies));
    for (const message of messages) {
      const cloudEvent = JSON.parse(Buffer.from(encodeCloudEvent(message)).toString());
      expect(cloudEvent.specversion).toBe("1.0");
      const { id, source, type, subject, time } = cloudEvent;
      const dataText = Buffer.from(encodeBody(message)).toString();
      expect(JSON.parse(dataText)).toEqual(cloudEvent.data);
      const event = parseEvent({
        companyId: cloudEvent.companyid,
        id,
        source,
        type,
        subject,
        time,
        dataText,
      });
      // The company is in the body already.
      expect(event.data).toBe(dataText);
    }
  });
});

describe("demoMetrics", () => {
  test("speaks on the subjects of an analytics service, values within their bounds", () => {
    const messages = take(demoMetrics({ companies, ...fixed() }), 2000);
    const bySubject = Map.groupBy(messages, (message) => message.subject);
    expect([...bySubject.keys()].sort()).toEqual([
      "journey.flag",
      "metrics.calculated",
      "metrics.sroi",
      "q2q.scored",
    ]);
    for (const { body } of bySubject.get("metrics.calculated")!) {
      expect(body.value).toBeGreaterThanOrEqual(0);
      expect(body.value).toBeLessThanOrEqual(1);
    }
    expect(bySubject.get("metrics.calculated")![0]!.body).toEqual({
      companyId: "acme",
      metricName: expect.any(String),
      value: expect.any(Number),
      ts: "2026-01-31T00:00:00.000Z",
    });
    const types = messages.map(
      (message) => JSON.parse(Buffer.from(encodeCloudEvent(message)).toString()).type,
    );
    expect(new Set(types)).toEqual(
      new Set(["metric_updated", "sroi_updated", "journey_flag_updated", "vis_updated"]),
    );
  });
});

describe("dcgmReadings", () => {
  const fleet = { companies, hostsPerCompany: 2, gpusPerHost: 4 };

  test("reads every metric of every GPU in turn, in the columns of the exporter", () => {
    const gpus = 2 * 2 * 4;
    const sweep = take(dcgmReadings({ ...fleet, ...fixed() }), gpus * 6);
    for (const { row } of sweep) expect(Object.keys(row).sort()).toEqual([...DCGM_COLUMNS].sort());
    expect(new Set(sweep.map(({ row }) => `${row.uuid} ${row.metric_name}`)).size).toBe(gpus * 6);
    expect(new Set(sweep.map(({ row }) => row.Hostname)).size).toBe(4);
    // A GPU's number is only unique within its host.
    expect(new Set(sweep.map(({ row }) => row.gpu_id))).toEqual(new Set(["0", "1", "2", "3"]));
    for (const { row } of sweep) {
      expect(row.uuid).toMatch(/^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(row.labels_raw).toContain(`UUID="${row.uuid}",__name__="${row.metric_name}"`);
    }
  });

  test("keeps a GPU's uuid from run to run, whatever the random numbers", () => {
    const uuids = (seed: number) =>
      new Set(take(dcgmReadings({ ...fleet, random: createRandom(seed) }), 96).map(({ row }) => row.uuid));
    expect(uuids(1)).toEqual(uuids(2));
  });

  test("stays within what the hardware can do, and is idle and busy at times", () => {
    const readings = take(dcgmReadings({ ...fleet, ...fixed() }), 96 * 200);
    const values = Map.groupBy(readings, ({ row }) => row.metric_name);
    const range = (metric: string) => {
      const numbers = values.get(metric)!.map(({ row }) => Number(row.value));
      return [Math.min(...numbers), Math.max(...numbers)] as const;
    };
    const bounds = {
      DCGM_FI_DEV_GPU_UTIL: [0, 100, 5, 90],
      DCGM_FI_DEV_MEM_COPY_UTIL: [0, 100, 5, 50],
      DCGM_FI_DEV_GPU_TEMP: [25, 90, 40, 60],
      DCGM_FI_DEV_POWER_USAGE: [60, 700, 130, 500],
      DCGM_FI_DEV_FB_USED: [0, 81_559, 1000, 60_000],
      DCGM_FI_DEV_SM_CLOCK: [345, 1980, 345, 1980],
    };
    expect([...values.keys()].sort()).toEqual(Object.keys(bounds).sort());
    for (const [metric, [least, most, idle, busy]] of Object.entries(bounds)) {
      const [min, max] = range(metric);
      expect(min).toBeGreaterThanOrEqual(least!);
      expect(min).toBeLessThanOrEqual(idle!);
      expect(max).toBeLessThanOrEqual(most!);
      expect(max).toBeGreaterThanOrEqual(busy!);
    }
  });
});

describe("produce", () => {
  const message: Message = { id: "1", source: "/t", subject: "t", time: "", companyId: "acme", body: {} };
  const endless = function* () {
    for (;;) yield message;
  };

  /** A clock that stands still but for sleeps, which end late by up to 16 ms, as timers do. */
  function createClock(): Clock & { at: number } {
    const random = createRandom();
    const clock = {
      at: 1000,
      now: () => clock.at,
      sleep: async (ms: number) => {
        clock.at += ms + random() * 16;
      },
    };
    return clock;
  }

  test.each([
    [0.5, 10],
    [3, 100],
    [60, 1000],
    [1000, 20_000],
    [50_000, 200_000],
  ])("keeps %d a second over %d messages, however late the timers are", async (ratePerSecond, count) => {
    const clock = createClock();
    const startMs = clock.at;
    let sent = 0;
    const send = async () => {
      // Never early: message n is due at n / rate. Late by one timer at most: lateness does not add up.
      const dueMs = startMs + (sent * 1000) / ratePerSecond;
      if (clock.at < dueMs - 1e-6 || clock.at > dueMs + 16) {
        throw new Error(`message ${sent} was sent at ${clock.at}, due at ${dueMs}`);
      }
      sent++;
    };
    expect(await produce({ messages: endless(), send, ratePerSecond, count, clock })).toBe(count);
    expect(sent).toBe(count);
  });

  test("goes by the pace of the moment", async () => {
    const clock = createClock();
    const times: number[] = [];
    const send = async () => void times.push(clock.at - 1000);
    // Ten a second for ten seconds, then thirty.
    const pace = (atMs: number) => (atMs - 1000 < 10_000 ? 1 : 3);
    await produce({ messages: endless(), send, ratePerSecond: 10, pace, count: 400, clock });
    expect(times.filter((time) => time < 10_000)).toHaveLength(100);
    expect(times.filter((time) => time >= 10_000 && time < 20_000).length).toBeCloseTo(300, -1);
  });

  test("makes up for a second of stall at most", async () => {
    const clock = createClock();
    const times: number[] = [];
    const send = async () => {
      times.push(clock.at);
      if (times.length === 10) clock.at += 60_000;
    };
    await produce({ messages: endless(), send, ratePerSecond: 100, count: 1000, clock });
    const afterStallMs = times[10]!;
    const atOnce = times.filter((time) => time === afterStallMs).length;
    expect(atOnce).toBeGreaterThan(95);
    expect(atOnce).toBeLessThan(105);
  });

  test("makes a message when it is due, so that the time it says is the time it is sent", async () => {
    const clock = createClock();
    const made: number[] = [];
    const sent: number[] = [];
    const source = (function* () {
      for (;;) {
        made.push(clock.now());
        yield message;
      }
    })();
    const send = async () => void sent.push(clock.now());
    await produce({ messages: source, send, ratePerSecond: 1, count: 4, clock });
    expect(made).toEqual(sent);
    expect(new Set(sent).size).toBe(4);
  });

  test("ends with the messages, and closes what it did not read to the end", async () => {
    const clock = createClock();
    const send = async () => {};
    const ended = await produce({ messages: [message, message], send, ratePerSecond: 1, clock });
    expect(ended).toBe(2);
    let closed = false;
    const source = (function* () {
      try {
        yield* endless();
      } finally {
        closed = true;
      }
    })();
    expect(await produce({ messages: source, send, ratePerSecond: 1, count: 3, clock })).toBe(3);
    expect(closed).toBe(true);
    expect(await produce({ messages: endless(), send, ratePerSecond: 1, count: 0, clock })).toBe(0);
  });

  test("stops at an abort: while it waits for the next, for room to send, and when nothing holds it", async () => {
    const abortIn = (ms: number) => AbortSignal.timeout(ms);
    const send = async () => {};
    const waiting = produce({ messages: endless(), send, ratePerSecond: 0.001, signal: abortIn(20) });
    expect(await waiting).toBe(1);
    const never = () => new Promise<void>(() => {});
    const blocked = produce({ messages: endless(), send: never, ratePerSecond: 1, signal: abortIn(20) });
    expect(await blocked).toBe(0);
    const free = produce({
      messages: endless(),
      send,
      ratePerSecond: Number.POSITIVE_INFINITY,
      signal: abortIn(20),
    });
    expect(await free).toBeGreaterThan(1);
    expect(await produce({ messages: endless(), send, ratePerSecond: 1, signal: AbortSignal.abort() })).toBe(
      0,
    );
  });

  test("passes on what send throws", async () => {
    const send = () => Promise.reject(new Error("gone"));
    await expect(produce({ messages: endless(), send, ratePerSecond: 1 })).rejects.toThrow("gone");
  });
});
