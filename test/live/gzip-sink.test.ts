/** gzipSink: what it says of a sink, and that real decoders give out each event as soon as its bytes are in, and are content with the end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Server } from "node:http";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { createGunzip, gunzipSync } from "node:zlib";
import { createAdaptorServer } from "@hono/node-server";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { type Deflate, GZIP_HEADER } from "../../functions/core/gzip.ts";
import { gzipSink } from "../../functions/live/gzip-sink.ts";
import type { OpenEventStream } from "../../functions/ports/event-stream.ts";
import type { Sink } from "../../functions/ports/hub.ts";
import { openSocketStream } from "../../functions/runtimes/node/event-stream-socket.ts";
import { deflate } from "../../functions/runtimes/zlib.ts";
import { launchChromium } from "../browser/browser.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** Alone it is stored, three of them are deflated. */
const frame = (n: number) =>
  `event: metric_updated\nid: e.${n}-0\ndata: {"companyId":"acme","metricName":"integration_score","value":0.85,"n":${n}}\n\n`;

describe("gzipSink", () => {
  /** Keeps what it is given; `takes` says whether it can take more. */
  function memorySink() {
    const writes: Uint8Array[] = [];
    const ends: (string | undefined)[] = [];
    const sink = {
      takes: true,
      onDrain: () => {},
      write(bytes: Uint8Array) {
        writes.push(bytes);
        return sink.takes;
      },
      end(reason?: string) {
        ends.push(reason);
      },
    };
    return { sink, writes, ends, plain: () => gunzipSync(Buffer.concat(writes)).toString() };
  }

  it("makes one write of each, the first with the header before it", () => {
    const { sink, writes, plain } = memorySink();
    const gzip = gzipSink(sink, deflate);
    expect(writes).toEqual([]);
    gzip.write(text(frame(1)));
    gzip.write(text(frame(2).repeat(3)));
    expect(writes).toHaveLength(2);
    expect(writes[0]!.subarray(0, 10)).toEqual(GZIP_HEADER);
    gzip.end();
    expect(plain()).toBe(frame(1) + frame(2).repeat(3));
  });

  it("compresses once what several sinks are given, and gives them the same array", () => {
    let runs = 0;
    const counting: Deflate = (bytes) => {
      runs++;
      return deflate(bytes);
    };
    const clients = Array.from({ length: 5 }, memorySink);
    const sinks = clients.map(({ sink }) => gzipSink(sink, counting));
    const batches = [text(frame(1).repeat(4)), text(frame(2).repeat(4)), text(frame(3))];
    // One that came late has another sum, and the same pieces.
    for (const bytes of batches) for (const sink of sinks.slice(1)) sink.write(bytes);
    for (const bytes of batches.slice(1)) sinks[0]!.write(bytes);
    expect(runs).toBe(2);
    expect(new Set(clients.slice(1).map(({ writes }) => writes[0])).size).toBe(1);
    expect(new Set(clients.map(({ writes }) => writes.at(-1))).size).toBe(1);
    for (const sink of sinks) sink.end();
    expect(clients[0]!.plain()).toBe(frame(2).repeat(4) + frame(3));
    expect(clients[1]!.plain()).toBe(frame(1).repeat(4) + frame(2).repeat(4) + frame(3));
  });

  it("is full when its sink is, until that has drained", () => {
    const { sink } = memorySink();
    const gzip = gzipSink(sink, deflate);
    let drained = 0;
    gzip.onDrain = () => drained++;
    sink.takes = false;
    expect(gzip.write(text(frame(1)))).toBe(false);
    sink.takes = true;
    sink.onDrain();
    expect(drained).toBe(1);
    expect(gzip.write(text(frame(2)))).toBe(true);
  });

  it("end writes the trailer once, ends its sink for the same reason, and takes nothing more", () => {
    const { sink, writes, ends, plain } = memorySink();
    const gzip = gzipSink(sink, deflate);
    gzip.write(text(frame(1)));
    gzip.end("expired");
    gzip.end("draining");
    gzip.write(text(frame(2)));
    expect(ends).toEqual(["expired"]);
    expect(writes).toHaveLength(2);
    expect(plain()).toBe(frame(1));
  });

  it("end of a full one writes nothing more: its sink cuts it", () => {
    const { sink, writes, ends } = memorySink();
    const gzip = gzipSink(sink, deflate);
    sink.takes = false;
    gzip.write(text(frame(1)));
    gzip.end("idle");
    expect(writes).toHaveLength(1);
    expect(ends).toEqual(["idle"]);
  });

  it("end before anything is a whole stream of nothing", () => {
    const { sink, writes, plain } = memorySink();
    gzipSink(sink, deflate).end();
    expect(writes).toHaveLength(1);
    expect(plain()).toBe("");
  });
});

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "private, no-cache, no-store, no-transform",
  "content-encoding": "gzip",
  vary: "accept-encoding",
};

/** Events one after another: a decoder that holds one back never gets the next. */
const EVENTS = [frame(1), frame(2).repeat(3), ":heartbeat\n\n", frame(3).repeat(100), frame(4)];

interface Client extends AsyncDisposable {
  /** Decoded so far. */
  received(): string;
  /** Resolves when the answer has ended as it should. */
  ended(): Promise<void>;
}

const CLIENTS: Readonly<Record<string, (url: string) => Client>> = {
  "Node's gunzip": (url) => {
    let received = "";
    const over = Promise.withResolvers<void>();
    const request = get(
      url,
      { headers: { "accept-encoding": "gzip" }, agent: false },
      (answer: IncomingMessage) => {
        const gunzip = answer.pipe(createGunzip());
        gunzip.on("data", (chunk: Buffer) => {
          received += chunk;
        });
        gunzip.on("end", over.resolve).on("error", over.reject);
      },
    );
    request.on("error", over.reject);
    return client(
      () => received,
      over.promise,
      () => request.destroy(),
    );
  },
  fetch: (url) => {
    let received = "";
    const abort = new AbortController();
    const read = async () => {
      const answer = await fetch(url, { signal: abort.signal });
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) received += chunk;
    };
    return client(
      () => received,
      read(),
      () => abort.abort(),
    );
  },
  "curl --compressed": (url) => {
    let received = "";
    const curl = spawn("curl", ["--silent", "--show-error", "--no-buffer", "--compressed", url]);
    curl.stdout.on("data", (chunk: Buffer) => {
      received += chunk;
    });
    const over = once(curl, "close").then(([code]) => {
      if (code !== 0) throw new Error(`curl ended with ${code}`);
    });
    return client(
      () => received,
      over,
      () => curl.kill(),
    );
  },
};

function client(received: () => string, over: Promise<void>, close: () => void): Client {
  over.catch(() => {});
  return {
    received,
    ended: () => over,
    async [Symbol.asyncDispose]() {
      close();
      await over.catch(() => {});
    },
  };
}

describe.each<[string, OpenEventStream]>([
  ["a raw socket", openSocketStream],
  ["a web stream", openWebStream],
])("gzipSink over %s", (_name, openEventStream) => {
  let server: Server;
  let url: string;
  /** Of the streams that were opened, in order. */
  let sinks: Sink[];

  beforeEach(async () => {
    sinks = [];
    server = createAdaptorServer({
      fetch(raw, env) {
        if (new URL(raw.url).pathname !== "/stream") {
          return new Response("<title>t</title>", { headers: { "content-type": "text/html" } });
        }
        const { sink, response } = openEventStream({ raw, env }, HEADERS, () => {});
        const gzip = gzipSink(sink, deflate);
        gzip.write(text("retry: 60000\n\n"));
        sinks.push(gzip);
        return response;
      },
    }) as Server;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    for (const sink of sinks) sink.end();
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });

  const opened = async () => {
    await waitFor("a stream", () => sinks.length > 0);
    return sinks[0]!;
  };

  it.each(Object.keys(CLIENTS))("gives %s each event at once, and ends", async (name) => {
    await using reader = CLIENTS[name]!(`${url}/stream`);
    const sink = await opened();
    let expected = "retry: 60000\n\n";
    for (const [n, bytes] of EVENTS.entries()) {
      sink.write(text(bytes));
      expected += bytes;
      await waitFor(`${name} to have write ${n + 1}`, () => reader.received() === expected);
    }
    sink.end();
    await reader.ended();
    expect(reader.received()).toBe(expected);
  });

  describe("in Chromium", () => {
    const reason = missing("chromium");
    let browser: Browser | undefined;
    beforeAll(async () => {
      if (!reason) browser = await launchChromium();
    });
    afterAll(() => browser?.close());

    it("gives an EventSource each event at once", async (context) => {
      if (reason) context.skip(reason);
      const page = await browser!.newPage();
      await page.goto(url);
      await page.evaluate(`
        received = [];
        source = new EventSource("/stream");
        source.addEventListener("metric_updated", ({ data, lastEventId }) => received.push(lastEventId));
      `);
      const sink = await opened();
      for (let n = 1, events = 0; n <= 3; n++) {
        sink.write(text(frame(n).repeat(n * n)));
        events += n * n;
        await waitFor(`write ${n}`, async () => (await page.evaluate("received.length")) === events);
      }
      expect(await page.evaluate("received.at(-1)")).toBe("e.3-0");
      await page.evaluate("source.close()");
      await page.close();
    });

    it("gives fetch each event at once, and ends", async (context) => {
      if (reason) context.skip(reason);
      const page = await browser!.newPage();
      await page.goto(url);
      await page.evaluate(`
        received = ""; over = "";
        void fetch("/stream").then(async ({ body }) => {
          const reader = body.pipeThrough(new TextDecoderStream()).getReader();
          for (let got = await reader.read(); !got.done; got = await reader.read()) received += got.value;
        }).then(() => { over = "ended"; }, (error) => { over = String(error); });
      `);
      const sink = await opened();
      let expected = "retry: 60000\n\n";
      for (const [n, bytes] of EVENTS.entries()) {
        sink.write(text(bytes));
        expected += bytes;
        await waitFor(`write ${n + 1}`, async () => (await page.evaluate("received")) === expected);
      }
      sink.end();
      expect(await waitFor("the end", async () => ((await page.evaluate("over")) as string) || false)).toBe(
        "ended",
      );
      await page.close();
    });
  });
});
