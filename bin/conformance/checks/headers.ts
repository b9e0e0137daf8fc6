/** The response's headers: caching, buffering, framing, compression. */
import { type Check, fail, MUST, notRun, PROMISED, pass, verdict } from "../check.ts";
import { exchangeBytes } from "../http.ts";
import { show } from "../sse-parser.ts";
import { streamUrl } from "../target.ts";

const area = "headers";

/** The directives of `cache-control`, in lower case. */
const directives = (headers: Readonly<Record<string, string>>): string[] =>
  (headers["cache-control"] ?? "").toLowerCase().split(/\s*,\s*/);

export const headerChecks: readonly Check[] = [
  {
    id: "headers.not-cached",
    area,
    title: "Caches are told to keep nothing of the stream",
    source: "RFC 9111 5.2.2.5 (no-store), 5.2.2.4 (no-cache)",
    levels: PROMISED,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open();
      const given = directives(headers);
      const wanted = context.learned.profile === "millrace" ? ["private", "no-cache", "no-store"] : [];
      const missing = wanted.filter((directive) => !given.includes(directive));
      const kept = !given.includes("no-store") && !given.includes("no-cache");
      const seen = `cache-control: ${headers["cache-control"] ?? "(none)"}`;
      if (kept) return fail(`${seen}, expected no-store`);
      return verdict(missing.length > 0 ? `${seen}, expected ${missing.join(", ")} too` : undefined, seen);
    },
  },
  {
    id: "headers.not-transformed",
    area,
    title: "Proxies are told not to compress or rewrite the stream",
    source: "RFC 9111 5.2.2.6 (no-transform)",
    levels: PROMISED,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open();
      const seen = `cache-control: ${headers["cache-control"] ?? "(none)"}`;
      return verdict(
        directives(headers).includes("no-transform") ? undefined : `${seen}, expected no-transform`,
        seen,
      );
    },
  },
  {
    id: "headers.not-buffered",
    area,
    title: "nginx in front is told not to buffer the stream",
    source: "nginx, ngx_http_proxy_module, proxy_buffering (X-Accel-Buffering; nginx itself consumes it)",
    levels: PROMISED,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open();
      if (/^(nginx|openresty)/i.test(headers.server ?? "")) {
        return notRun("nginx is in front, and takes the header for itself");
      }
      const seen = `x-accel-buffering: ${headers["x-accel-buffering"] ?? "(none)"}`;
      return verdict(headers["x-accel-buffering"] === "no" ? undefined : `${seen}, expected no`, seen);
    },
  },
  {
    id: "headers.no-length",
    area,
    title: "The endless stream declares no length",
    source: "RFC 9110 8.6; RFC 9112 6.3",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open();
      const length = headers["content-length"];
      return verdict(
        length === undefined ? undefined : `content-length: ${length} on a stream without end, expected none`,
        "no content-length",
      );
    },
  },
  {
    id: "headers.identity",
    area,
    title: "A client that asks for no compression gets none",
    source: "RFC 9110 12.5.3 (Accept-Encoding: identity)",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      const { headers } = await context.open({ headers: { "accept-encoding": "identity" } });
      const coding = headers["content-encoding"];
      return verdict(
        coding === undefined || coding === "identity"
          ? undefined
          : `content-encoding: ${coding} was not asked for, expected none`,
        "no content-encoding",
      );
    },
  },
  {
    id: "headers.http-1.0",
    area,
    title:
      "An HTTP/1.0 client, such as nginx in its default setting, gets the stream without chunked encoding",
    source: "RFC 9112 6.1; nginx, proxy_http_version",
    levels: MUST,
    needs: ["stream"],
    async run({ target }) {
      const url = streamUrl(target, target.company);
      const authorization = target.token ? `Authorization: Bearer ${target.token}\r\n` : "";
      const received = await exchangeBytes(
        url,
        `GET ${url.pathname}${url.search} HTTP/1.0\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\n${authorization}\r\n`,
        { until: (text) => text.includes("\r\n\r\n"), timeoutMs: 2_000 },
      );
      const head = received.split("\r\n\r\n")[0] ?? "";
      if (!/^HTTP\/1\.[01] 200/.test(head))
        return fail(`HTTP/1.0 was answered ${show(head.split("\r\n")[0] ?? "")}, expected 200`);
      return /^transfer-encoding:/im.test(head)
        ? fail(
            "HTTP/1.0 was answered with Transfer-Encoding, which it does not know: chunk sizes land in the stream",
          )
        : pass("close-delimited, no Transfer-Encoding");
    },
  },
  {
    id: "headers.cors",
    area,
    title: "No origin is let in together with credentials unless it was named",
    source: "Fetch, CORS protocol and credentials",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      const origin = "https://conformance.invalid";
      const { headers } = await context.open({ headers: { origin } });
      const allowed = headers["access-control-allow-origin"];
      const credentials = headers["access-control-allow-credentials"];
      const seen = `access-control-allow-origin: ${allowed ?? "(none)"}, -credentials: ${credentials ?? "(none)"}`;
      return verdict(
        credentials === "true" && (allowed === "*" || allowed === origin)
          ? `${seen} for the unknown origin ${origin}`
          : undefined,
        seen,
      );
    },
  },
];
