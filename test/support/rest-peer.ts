/**
 * A REST interface over a real Redis that misbehaves on demand: as Upstash answers, but it may send no comments, have no SUBSCRIBE, let
 * its streams stall, hang, or answer with what it is told. What a well-behaved one does is tested on `millrace redis-rest` itself.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { createClient, ErrorReply } from "redis";

export interface RestPeer extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** Commands received, one line each. */
  readonly commands: string[];
  /** Channels of the streams that are open. */
  readonly streams: string[];
  /** Streams ever asked for. */
  readonly asked: number;
  /** Answers everything with this instead, while set. */
  answer: { status: number; body: string; contentType?: string } | undefined;
  /** Answers SUBSCRIBE with this status instead, while set. */
  noSubscribe: number | undefined;
  /** Sent before anything else of a stream. */
  greeting: string;
  /** Milliseconds between comments over streams that are opened from now on; none when undefined. */
  commentMs: number | undefined;
  /** Comments ever sent. */
  readonly comments: number;
  /** Takes requests and never answers. */
  hang: boolean;
  /** Streams stay open, and nothing more is written to those that are open now. */
  stall(): void;
  /** Ends the streams that are open. */
  cut(): void;
}

/** @param commentMs Milliseconds between comments; none unless given. */
export async function startRestPeer(redisUrl: string, commentMs?: number): Promise<RestPeer> {
  const token = "a-token-of-at-least-thirty-two-characters";
  const client = createClient({ url: redisUrl, RESP: 2 });
  const subscriber = createClient({ url: redisUrl, RESP: 2 });
  for (const one of [client, subscriber]) one.on("error", () => {});
  await Promise.all([client.connect(), subscriber.connect()]);
  const open = new Set<{ channel: string; response: ServerResponse; stalled: boolean }>();

  const run = async (args: string[]) => {
    peer.commands.push(args.join(" ").slice(0, 100));
    try {
      return { result: await client.sendCommand(args) };
    } catch (error) {
      if (error instanceof ErrorReply) return { error: error.message };
      throw error;
    }
  };
  const json = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

  const stream = async (response: ServerResponse, channel: string) => {
    peer.asked++;
    if (peer.noSubscribe !== undefined) return json(response, peer.noSubscribe, { error: "no such route" });
    const own = { channel, response, stalled: false };
    const write = (text: string) => void (own.stalled || response.write(text));
    const listener = (payload: string) => write(`data: message,${channel},${payload}\n\n`);
    response.writeHead(200, { "content-type": "text/event-stream" });
    await subscriber.subscribe(channel, listener);
    open.add(own);
    if (peer.greeting !== "") write(peer.greeting);
    write(`data: subscribe,${channel},1\n\n`);
    const comment = () => {
      peer.comments++;
      write(": ping\n\n");
    };
    const timer = peer.commentMs === undefined ? undefined : setInterval(comment, peer.commentMs);
    response.on("close", () => {
      clearInterval(timer);
      open.delete(own);
      subscriber.unsubscribe(channel, listener).catch(() => {});
    });
  };

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request);
    if (peer.hang) return;
    if (peer.answer !== undefined) {
      const { status, body, contentType = "application/json" } = peer.answer;
      return response.writeHead(status, { "content-type": contentType }).end(body);
    }
    if (request.headers.authorization !== `Bearer ${token}`) {
      return json(response, 401, { error: "WRONGPASS invalid or missing auth token" });
    }
    const [, route, channel] = request.url!.split("/");
    if (route === "subscribe") return stream(response, decodeURIComponent(channel!));
    if (route === "pipeline") {
      return json(response, 200, await Promise.all((JSON.parse(body) as string[][]).map(run)));
    }
    const answer = await run(JSON.parse(body) as string[]);
    return json(response, "error" in answer ? 400 : 200, answer);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");

  const peer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    commands: [] as string[],
    get streams() {
      return Array.from(open, ({ channel }) => channel);
    },
    asked: 0,
    answer: undefined as RestPeer["answer"],
    noSubscribe: undefined as number | undefined,
    greeting: "",
    commentMs,
    comments: 0,
    hang: false,
    stall() {
      for (const one of open) one.stalled = true;
    },
    cut() {
      for (const { response } of open) response.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      client.destroy();
      subscriber.destroy();
    },
  };
  return peer;
}
