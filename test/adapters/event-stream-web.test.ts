import { once } from "node:events";
import type { Server } from "node:http";
import { connect } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { WRITE_BYTES } from "../../functions/core/limits.ts";
import type { EventStream } from "../../functions/ports/event-stream.ts";
import { waitFor } from "../support/wait.ts";

const HEADERS = { "content-type": "text/event-stream" };
const text = (value: string) => new TextEncoder().encode(value);

function open(signal?: AbortSignal) {
  const onGone = vi.fn();
  const onDrain = vi.fn();
  const raw = new Request("http://localhost/", signal ? { signal } : {});
  const stream = openWebStream({ raw, env: undefined }, HEADERS, onGone);
  stream.sink.onDrain = onDrain;
  return { ...stream, onGone, onDrain, reader: () => stream.response.body!.getReader() };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("openWebStream", () => {
  it("answers 200 with the headers, and hands on bytes as they are", async () => {
    const { response, sink, reader } = open();
    expect([response.status, Object.fromEntries(response.headers)]).toEqual([200, HEADERS]);
    expect(sink.write(text("a"))).toBe(true);
    expect((await reader().read()).value).toEqual(text("a"));
  });

  it("counts bytes: one small chunk is not full, WRITE_BYTES are", () => {
    const { sink } = open();
    for (let n = 0; n < 100; n++) expect(sink.write(text("small"))).toBe(true);
    expect(sink.write(new Uint8Array(WRITE_BYTES - 500 - 1))).toBe(true);
    expect(sink.write(new Uint8Array(1))).toBe(false);
  });

  it("calls onDrain once it has room again, and not before", async () => {
    const { sink, onDrain, reader } = open();
    const client = reader();
    await new Promise((resolve) => setTimeout(resolve));
    expect(sink.write(new Uint8Array(WRITE_BYTES))).toBe(false);
    expect(sink.write(new Uint8Array(1))).toBe(false);
    expect(onDrain).not.toHaveBeenCalled();
    await client.read();
    await waitFor("room", () => onDrain.mock.calls.length === 1);
    expect(sink.write(new Uint8Array(1))).toBe(true);
    await client.read();
    await client.read();
    expect(onDrain).toHaveBeenCalledTimes(1);
  });

  it("takes writes out of onDrain", async () => {
    const { sink, reader } = open();
    const client = reader();
    let left = 5;
    sink.onDrain = () => {
      for (let isFull = false; left > 0 && !isFull; left--) isFull = !sink.write(new Uint8Array(WRITE_BYTES));
    };
    sink.write(new Uint8Array(WRITE_BYTES));
    let bytes = 0;
    while (bytes < 6 * WRITE_BYTES) bytes += (await client.read()).value!.byteLength;
    expect(left).toBe(0);
  });

  it("end sends what was taken, closes, and then says that the client is gone", async () => {
    const { sink, onGone, reader } = open();
    sink.write(text("a"));
    sink.write(text("b"));
    sink.end();
    sink.end();
    expect(sink.write(text("late"))).toBe(false);
    expect(onGone).not.toHaveBeenCalled();
    const client = reader();
    expect([await client.read(), await client.read()].map(({ value }) => value)).toEqual([
      text("a"),
      text("b"),
    ]);
    expect((await client.read()).done).toBe(true);
    expect(onGone).toHaveBeenCalledTimes(1);
  });

  it("end with nothing left closes at once", async () => {
    const { sink, onGone, reader } = open();
    sink.end();
    expect(onGone).toHaveBeenCalledTimes(1);
    expect((await reader().read()).done).toBe(true);
  });

  it("end cuts a client that takes nothing", async () => {
    vi.useFakeTimers();
    const { sink, onGone, reader } = open();
    sink.write(text("a"));
    sink.end();
    vi.advanceTimersByTime(4_999);
    expect(onGone).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onGone).toHaveBeenCalledTimes(1);
    await expect(reader().read()).rejects.toThrow("took nothing");
  });

  it.each<[string, (stream: ReturnType<typeof open>, abort: AbortController) => unknown]>([
    ["is cancelled", ({ response }) => response.body!.cancel()],
    ["request is aborted", (_stream, abort) => abort.abort()],
  ])("says once that the client is gone when the %s, and drops later writes", async (_name, leave) => {
    const abort = new AbortController();
    const stream = open(abort.signal);
    stream.sink.write(text("a"));
    await leave(stream, abort);
    await leave(stream, abort);
    stream.sink.end();
    expect(stream.onGone).toHaveBeenCalledTimes(1);
    expect(stream.sink.write(text("b"))).toBe(false);
  });

  it("says so at once when the request was aborted before", () => {
    expect(open(AbortSignal.abort()).onGone).toHaveBeenCalledTimes(1);
  });

  it("holds no more than it said for a client that stops reading a real connection, and notices its end", async () => {
    let stream: EventStream | undefined;
    const onGone = vi.fn();
    const server = createAdaptorServer({
      fetch: (raw) => {
        stream = openWebStream({ raw, env: undefined }, HEADERS, onGone);
        return stream.response;
      },
    }) as Server;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
    let received = 0;
    socket.on("data", (chunk) => {
      received += chunk.length;
    });
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await waitFor("the header", () => received > 0);
    socket.pause();
    const chunk = new Uint8Array(WRITE_BYTES);
    let written = 0;
    let isFull = false;
    stream!.sink.onDrain = () => {
      isFull = false;
    };
    const fill = () => {
      // Far more than two kernel buffers: a sink that counted chunks would take it all.
      while (!isFull && written < 64 * 1024 * 1024) {
        written += chunk.byteLength;
        isFull = !stream!.sink.write(chunk);
      }
      return isFull;
    };
    let stuck = 0;
    await waitFor("a sink that stays full", () => {
      const before = written;
      fill();
      stuck = written === before ? stuck + 1 : 0;
      return stuck === 20;
    });
    expect(written).toBeLessThan(32 * 1024 * 1024);
    socket.resume();
    await waitFor("room", () => !isFull);
    await waitFor("every byte", () => received > written);
    socket.destroy();
    await waitFor("the end", () => onGone.mock.calls.length === 1);
    server.closeAllConnections();
    server.close();
  });
});
