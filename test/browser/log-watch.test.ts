/** What a page asks of its server's log, and makes of the answers. No browser is needed for it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const notices = new Set<string>();
vi.mock("../../web/kit/notices.ts", () => ({
  showNotice: (key: string) => notices.add(key),
  hideNotice: (key: string) => notices.delete(key),
}));

describe("watchLog", () => {
  let answer: () => Response;
  let asked = 0;
  beforeEach(() => {
    vi.resetModules();
    vi.useFakeTimers();
    notices.clear();
    asked = 0;
    vi.stubGlobal("document", { hidden: false, addEventListener() {}, removeEventListener() {} });
    vi.stubGlobal("fetch", async () => {
      asked++;
      return answer();
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const fine = () => new Response('{"status":"ok"}');
  const degraded = () => new Response('{"status":"degraded"}', { status: 503 });
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const open = async () => {
    const { watchLog } = await import("../../web/kit/log-watch.ts");
    const watch = () => {
      const told: (string | undefined)[] = [];
      return { told, ...watchLog((reason) => told.push(reason)) };
    };
    return [watch(), watch()] as const;
  };
  const AWAY = "the log does not answer the server";

  it("tells every stream that is live, and one that becomes so meanwhile", async () => {
    const [one, two] = await open();
    answer = degraded;
    one.heard();
    await pass(15_000);
    expect(one.told).toEqual([undefined, AWAY]);
    two.heard();
    await pass(0);
    expect(two.told).toEqual([AWAY]);
    expect(one.told).toEqual([undefined, AWAY]);
    expect([...notices]).toEqual(["log"]);
  });

  it("asks again at once when something comes, and believes the answer alone", async () => {
    const [one] = await open();
    answer = degraded;
    one.heard();
    await pass(60_000);
    const before = asked;
    for (let n = 0; n < 50; n++) one.heard();
    await pass(10);
    expect(asked).toBe(before + 1);
    expect(one.told.at(-1)).toBe(AWAY);
    answer = fine;
    await pass(2_000);
    one.heard();
    await pass(10);
    expect(one.told.at(-1)).toBeUndefined();
    expect([...notices]).toEqual([]);
  });

  it("asks nothing when no stream is live any more", async () => {
    const [one, two] = await open();
    answer = degraded;
    one.heard();
    two.heard();
    await pass(1_000);
    one.stop();
    two.stop();
    expect([one.told.at(-1), two.told.at(-1)]).toEqual([undefined, undefined]);
    expect([...notices]).toEqual([]);
    const before = asked;
    await pass(600_000);
    expect(asked).toBe(before);
  });

  it("takes only the server's own word: not a proxy's 503, nor a refusal", async () => {
    const [one] = await open();
    answer = () => new Response("<h1>503 Service Temporarily Unavailable</h1>", { status: 503 });
    one.heard();
    await pass(1_000);
    expect(one.told).toEqual([undefined]);
    answer = degraded;
    await pass(60_000);
    expect(one.told.at(-1)).toBe(AWAY);
    answer = () => new Response("{}", { status: 403 });
    await pass(60_000);
    expect(one.told.at(-1)).toBeUndefined();
  });
});
