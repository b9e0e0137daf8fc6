/** A proxy that plants one defect in a server behind it: it changes what is asked, or what is answered. */
import { once } from "node:events";
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Of a request. Members may be changed. */
export interface Asked {
  readonly url: URL;
  readonly headers: Record<string, string>;
  /** Empty: none. */
  body: string;
  /** Those of others: for a defect that lets everybody in as them. */
  readonly tokens: { readonly metrics: string; readonly operator: string };
}

/** Of an answer that is no event stream. Members may be changed. */
export interface Answered {
  status: number;
  readonly headers: Record<string, string>;
  text: string;
}

export interface Defect {
  /** What is asked of the server in place of what was. */
  ask?(asked: Asked): void;
  answer?(answered: Answered, asked: Asked): void;
  /** A block of an event stream, without the blank line; undefined: it is kept back. `index`: from 0. */
  block?(block: string, index: number, asked: Asked): string | undefined;
}

export interface TamperingProxy extends AsyncDisposable {
  readonly url: string;
}

/** `target`: an origin. */
export async function startTamperingProxy(
  target: string,
  defect: Defect,
  tokens: Asked["tokens"],
): Promise<TamperingProxy> {
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (name !== "host" && name !== "content-length") headers[name] = String(value);
    }
    const asked: Asked = { url: new URL(request.url ?? "/", target), headers, body: "", tokens };
    for await (const chunk of request.setEncoding("utf8")) asked.body += chunk;
    defect.ask?.(asked);
    const behind = ask(asked.url, { method: request.method, headers: asked.headers, agent: false });
    response.once("close", () => behind.destroy());
    behind.on("error", () => response.destroy());
    behind.end(asked.body);
    const [answer] = (await once(behind, "response")) as [IncomingMessage];
    answer.setEncoding("utf8").on("error", () => response.destroy());
    const given: Record<string, string> = {};
    for (const [name, value] of Object.entries(answer.headers)) given[name] = String(value);
    delete given["content-length"];
    delete given["transfer-encoding"];
    const status = answer.statusCode ?? 502;
    if (!given["content-type"]?.startsWith("text/event-stream")) {
      const answered: Answered = { status, headers: given, text: "" };
      for await (const chunk of answer) answered.text += chunk;
      defect.answer?.(answered, asked);
      response.writeHead(answered.status, answered.headers).end(answered.text);
      return;
    }
    response.writeHead(status, given).flushHeaders();
    let [rest, count] = ["", 0];
    for await (const chunk of answer) {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        const kept = defect.block === undefined ? block : defect.block(block, count++, asked);
        if (kept !== undefined) response.write(`${kept}\n\n`);
      }
    }
    response.end(rest);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
