import { describe, expect, it } from "vitest";
import { createLineGate } from "../../bridge/line-gate.ts";
import { parseEvent } from "../../functions/core/event.ts";

const open = () =>
  createLineGate({
    maxLinesPerSecond: 100,
    decode: ({ subject }) => ({
      event: parseEvent({
        companyId: subject.startsWith("logs:") ? "_logs" : "_operations",
        ...{ source: "/redis", id: "x", type: "service_status", dataText: "{}" },
      }),
    }),
  });
const messageOf = (said: object, subject = "service:all") => {
  const body = Buffer.from(JSON.stringify(said));
  return { subject, headers: {}, body, messageId: undefined };
};

describe("createLineGate", () => {
  it("statuses: one that floods has its burst, nothing of the others, and a line of log that says so", () => {
    const gate = open();
    const count = (name: string, statuses: number, subject?: string) => {
      let letIn = 0;
      for (let n = 0; n < statuses; n++) {
        if (gate.admit(messageOf({ name, state: "running", processed: n }, subject)) === "let in") letIn++;
      }
      return letIn;
    };
    const letIn = count("flood", 2_000);
    expect(letIn).toBeGreaterThanOrEqual(200);
    expect(letIn).toBeLessThan(230);
    expect(count("quiet", 100)).toBe(100);
    // Another limit than that of its lines, and none for what is neither.
    expect(count("flood", 500, "logs:all")).toBe(500);
    expect(count("flood", 5_000, "ticket.created")).toBe(5_000);
    const leftOut = 2_000 - letIn;
    const notices = gate.notices().map((told) => ("event" in told ? told.event : undefined)!);
    expect(notices).toMatchObject([{ companyId: "_logs", type: "log_line" }]);
    expect(JSON.parse(notices[0]!.data)).toMatchObject({
      ...{ level: "warn", service: "flood", leftOut },
      message: `${leftOut} statuses left out: over 20 a second`,
    });
    expect(gate.notices()).toEqual([]);
  });

  it("statuses: of a thousand services heard at once each is let in; made-up names are bounded", () => {
    const gate = open();
    let letIn = 0;
    for (let n = 0; n < 5_000; n++) {
      const is = gate.admit(messageOf({ service: `s-${n}`, state: "idle" }));
      if (is === "let in") letIn++;
      if (n === 999) expect(letIn).toBe(1_000);
    }
    expect(letIn).toBeLessThan(1_200);
  });
});
