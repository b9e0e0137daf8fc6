import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type StreamEvent } from "../../web/client/connect.ts";
import type { StreamGap } from "../../web/client/item.ts";
import { reconnectDelayMs, type Stream, type StreamState } from "../../web/client/stream.ts";
import { waitFor } from "../support/wait.ts";

/** A server that says what each test needs: frames a healthy server would not send. */
let server: Server;
let requests: IncomingMessage[];
let answer: (response: ServerResponse, nth: number) => void;
let stream: Stream | undefined;
let events: StreamEvent[];
let gaps: StreamGap[];
let states: StreamState[];

beforeEach(async () => {
  requests = [];
  events = [];
  gaps = [];
  states = [];
  server = createServer((request, response) => {
    requests.push(request);
    answer(response, requests.length);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  stream?.close();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

/** Reconnects soon: half of `retry:` at least. */
function open(options: { lastEventId?: string; silenceMs?: number } = {}): void {
  const { port } = server.address() as AddressInfo;
  stream = connect(`http://127.0.0.1:${port}/`, {
    onEvent: (event) => events.push(event),
    onGap: (gap) => gaps.push(gap),
    onState: (state) => states.push(state),
    random: () => 0,
    ...options,
  });
}

function streamHead(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { "content-type": "text/event-stream" });
}

const kinds = (): string[] => states.map(({ kind }) => kind);

describe("connect", () => {
  test("is live with the first bytes, then hands over events with their cursors", async () => {
    answer = (response) => {
      streamHead(response).write("retry: 100\n\nevent: a.b\nid: e.1-0\ndata: {}\n\n");
    };
    open();
    await waitFor("an event", () => events.length === 1);
    expect(events).toEqual([{ type: "a.b", data: "{}", cursor: "e.1-0" }]);
    expect(kinds()).toEqual(["connecting", "live"]);
    expect(requests[0]?.headers).toMatchObject({ accept: "text/event-stream" });
    expect(requests[0]?.headers["last-event-id"]).toBeUndefined();
  });

  test("comes back after a cut with the last cursor, of an id-only frame too", async () => {
    answer = (response, nth) => {
      streamHead(response).write(`retry: 100\n\nevent: a\nid: e.${nth}-0\ndata: {}\n\nid: e.${nth}-5\n\n`);
      if (nth === 1) setImmediate(() => response.destroy());
    };
    open({ lastEventId: "e.0-1" });
    await waitFor("the second connection's event", () => events.length === 2);
    expect(requests.map(({ headers }) => headers["last-event-id"])).toEqual(["e.0-1", "e.1-5"]);
    expect(kinds()).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
  });

  test("a block cut off by the end is not handed over, nor its cursor kept", async () => {
    answer = (response, nth) => {
      streamHead(response);
      if (nth === 1) response.end("retry: 100\nid: e.1-0\ndata: {}\n\nid: e.2-0\ndata: {}\n");
    };
    open();
    await waitFor("the second connection", () => requests.length === 2);
    expect(events).toHaveLength(1);
    expect(requests[1]?.headers["last-event-id"]).toBe("e.1-0");
  });

  test.each(["busy", "draining", "disabled"])(
    "%s without an id is a refusal that passes: never live, tried again",
    async (name) => {
      answer = (response, nth) => {
        if (nth === 1) streamHead(response).end(`retry: 100\n\nevent: ${name}\ndata: {}\n\n`);
        else streamHead(response).write(":\n\n");
      };
      open();
      await waitFor("the second try", () => kinds().at(-1) === "live");
      expect(kinds()).toEqual(["connecting", "waiting", "connecting", "live"]);
      expect(events).toEqual([]);
    },
  );

  test("busy with an id is an event of the log", async () => {
    answer = (response) => {
      streamHead(response).write("event: busy\nid: e.1-0\ndata: {}\n\n");
    };
    open();
    await waitFor("the event", () => events.length === 1);
    expect(kinds()).toEqual(["connecting", "live"]);
  });

  test("gap is told apart from events and moves the cursor", async () => {
    answer = (response) => {
      streamHead(response).write(
        'event: gap\nid: e.5-0\ndata: {"reason":"expired","requested":"e.1-0","resumedAt":"e.6-0"}\n\n',
      );
    };
    open({ lastEventId: "e.1-0" });
    await waitFor("the gap", () => gaps.length === 1);
    expect(gaps).toEqual([{ reason: "expired", requested: "e.1-0", resumedAt: "e.6-0" }]);
    expect(events).toEqual([]);
    expect(stream?.lastEventId).toBe("e.5-0");
  });

  test.each([400, 401, 403, 404, 204])("%i is final", async (status) => {
    answer = (response) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(status === 204 ? undefined : '{"error":"No","message":"Not yours"}');
    };
    open();
    await waitFor("the refusal", () => kinds().at(-1) === "refused");
    expect(states.at(-1)).toEqual({
      kind: "refused",
      status,
      reason: status === 204 ? "the server answered 204" : `Not yours (${status})`,
    });
    expect(requests).toHaveLength(1);
  });

  test("a page instead of a stream is final", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<p>Log in</p>");
    };
    open();
    await waitFor("the refusal", () => kinds().at(-1) === "refused");
    expect(states.at(-1)).toMatchObject({ reason: "the answer is not an event stream" });
  });

  test("503 is tried again after Retry-After", async () => {
    answer = (response, nth) => {
      if (nth === 1) response.writeHead(503, { "retry-after": "1" }).end();
      else streamHead(response).write(":\n\n");
    };
    open();
    await waitFor("live", () => kinds().at(-1) === "live");
    expect(states[1]).toMatchObject({ kind: "waiting", reason: "the server answered 503" });
  });

  test("a server that is away is tried again", async () => {
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    answer = (response) => {
      streamHead(response).write(":\n\n");
    };
    stream = connect(`http://127.0.0.1:${port}/`, {
      onEvent: () => {},
      onGap: () => {},
      onState: (state) => states.push(state),
      random: () => 0,
    });
    await waitFor("the first failure", () => kinds().includes("waiting"));
    expect(states.at(-1)).toMatchObject({ reason: "the server cannot be reached" });
    server.listen(port, "127.0.0.1");
    await waitFor("live", () => kinds().at(-1) === "live");
  });

  test("a stream silent for too long is taken for dead", async () => {
    answer = (response, nth) => {
      streamHead(response).write("retry: 100\n\n");
      if (nth > 1) response.write("id: e.1-0\ndata: {}\n\n");
    };
    open({ silenceMs: 200 });
    await waitFor("the second connection's event", () => events.length === 1);
    expect(states.find(({ kind }) => kind === "waiting")).toMatchObject({ reason: "nothing heard for 0 s" });
  });

  test("close ends the request and every callback", async () => {
    let gone = false;
    answer = (response) => {
      streamHead(response).write(":\n\n");
      response.on("close", () => {
        gone = true;
      });
    };
    open();
    await waitFor("live", () => kinds().at(-1) === "live");
    stream?.close();
    stream?.close();
    expect(kinds()).toEqual(["connecting", "live", "closed"]);
    await waitFor("the server to see it", () => gone);
    expect(kinds()).toEqual(["connecting", "live", "closed"]);
  });

  test("close while waiting stops the next try", async () => {
    answer = (response) => {
      streamHead(response).end("retry: 100\n\n");
    };
    open();
    await waitFor("waiting", () => kinds().at(-1) === "waiting");
    stream?.close();
    expect(kinds().at(-1)).toBe("closed");
    expect(requests).toHaveLength(1);
  });
});

describe("reconnectDelayMs", () => {
  test("is retry spread by half, doubled for each failure after the first, 30 s at most", () => {
    expect(reconnectDelayMs(3000, 0, () => 0)).toBe(1500);
    expect(reconnectDelayMs(3000, 0, () => 0.999)).toBe(4497);
    expect(reconnectDelayMs(3000, 1, () => 0.5)).toBe(3000);
    expect(reconnectDelayMs(3000, 3, () => 0.5)).toBe(12_000);
    expect(reconnectDelayMs(3000, 99, () => 0.5)).toBe(30_000);
  });

  test("retry over 30 s is honoured", () => {
    expect(reconnectDelayMs(60_000, 9, () => 0.5)).toBe(60_000);
  });

  test("never passes what setTimeout takes", () => {
    expect(reconnectDelayMs(1e15, 0, () => 0.9)).toBe(2_147_483_647);
  });
});
