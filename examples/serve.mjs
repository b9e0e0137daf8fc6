/**
 * Serves one of the examples beside a Millrace that runs: `npm start` in one terminal, `node examples/serve.mjs plain` (or `react`) in another.
 *
 * It does what the development server of your own project does: bundles the page, and passes the paths of the API on, so that page and streams are
 * of one origin. MILLRACE_URL (default http://127.0.0.1:8787) is where Millrace is, PORT (default 8790) where the example is.
 */
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { build } from "esbuild";

const name = process.argv[2] ?? "plain";
const folder = join(import.meta.dirname, name);
const library = join(import.meta.dirname, "../web/client");
const millrace = new URL(process.env.MILLRACE_URL ?? "http://127.0.0.1:8787");

const { outputFiles } = await build({
  entryPoints: [join(folder, "main")],
  // In a project of your own nothing of the sort: there they come from the package.
  alias: { "millrace/client": join(library, "index.ts"), "millrace/react": join(library, "react.ts") },
  ...{ bundle: true, format: "esm", target: "es2022", jsx: "automatic", write: false },
  define: { "process.env.NODE_ENV": '"development"' },
});

const server = createServer(async (incoming, response) => {
  if (incoming.url?.startsWith("/stream/")) return forward(incoming, response);
  if (incoming.url === "/main.js") {
    response.writeHead(200, { "content-type": "text/javascript" }).end(outputFiles[0]?.contents);
  } else if (incoming.url === "/") {
    const page = await readFile(join(folder, "index.html"));
    response.writeHead(200, { "content-type": "text/html" }).end(page);
  } else response.writeHead(404).end();
});

/** A stream is passed on as it comes, and ended when the page is gone. */
function forward(incoming, response) {
  const { method, headers, url } = incoming;
  const outgoing = request(new URL(url, millrace), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on("close", () => outgoing.destroy());
  incoming.pipe(outgoing);
}

server.listen(Number(process.env.PORT ?? 8790), "127.0.0.1", () => {
  console.log(`example ${name} http://localhost:${server.address().port}`);
});
