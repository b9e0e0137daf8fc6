import { describe, expect, it } from "vitest";
import { typeOfSubject } from "../../functions/core/subject.ts";

describe("typeOfSubject", () => {
  it.each([
    ["metrics.calculated", "metric_updated"],
    ["metrics.anything.else", "metric_updated"],
    ["metrics.sroi", "sroi_updated"],
    ["metrics.sroi_calculated", "sroi_updated"],
    ["metrics.sroi.more", "metric_updated"],
    ["q2q.mapped", "vis_updated"],
    ["journey.stage.reached", "journey_flag_updated"],
    ["orders.created.v2", "orders.created.v2"],
    ["Orders.Created", "orders.created"],
    ["metrics", "metrics"],
    ["metrics.", "metrics."],
    ["metricsx.y", "metricsx.y"],
    ["constructor", "constructor"],
    ["__proto__", "__proto__"],
  ])("%j is %j", (subject, type) => {
    expect(typeOfSubject(subject)).toBe(type);
  });

  it.each(["", "a b", "a>", "a*", "x".repeat(65), "é"])("refuses %j", (subject) => {
    expect(() => typeOfSubject(subject)).toThrow(/^Cannot read event type/);
  });
});
