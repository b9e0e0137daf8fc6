/** Whether the server answers at all, and its certificate is one a browser takes. */
import { type Outcome, type Probe, rootOf } from "./examine.ts";
import { redirected } from "./stream.ts";
import { routeUrl, type UrlTarget } from "./target.ts";

/** What to do about an error of TLS, by Node's code of it (node:tls, X509 certificate error codes). */
const TLS_NEXT: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "renew the certificate, and reload the proxy (nginx -s reload)",
  CERT_NOT_YET_VALID: "look at the clock of this machine, or at the certificate",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "use a certificate of an authority that browsers know; for one of your own set NODE_EXTRA_CA_CERTS to its file",
  SELF_SIGNED_CERT_IN_CHAIN:
    "use a certificate of an authority that browsers know; for one of your own set NODE_EXTRA_CA_CERTS to its file",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "put the intermediate certificates behind the server's own into the file of ssl_certificate; for an authority of your own set NODE_EXTRA_CA_CERTS to its file",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "put the intermediate certificates behind the server's own into the file of ssl_certificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "use a name the certificate is for, or get one for this name (server_name)",
  ERR_SSL_WRONG_VERSION_NUMBER: 'ask by http://, or let the port speak TLS ("listen 443 ssl;")',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'ask by http://, or let the port speak TLS ("listen 443 ssl;")',
};

export function probeReached(target: UrlTarget, path: string): Probe {
  return {
    what: `${target.url}${path}`,
    next:
      path === "/ready"
        ? "repair what it says, or look at the server's log: it may be shutting down"
        : "start it (npm start, or npx millrace serve), or correct the URL or what the proxy passes on",
    async run(signal): Promise<Outcome> {
      let response: Response;
      try {
        response = await fetch(routeUrl(target, path), { signal, redirect: "manual" });
      } catch (error) {
        const { code, message } = rootOf(error) as { code?: string; message?: string };
        const next = TLS_NEXT[code ?? ""];
        if (next === undefined) throw error;
        return { fault: `TLS: ${message} (${code})`, next };
      }
      const text = await response.text();
      const { status } = response;
      if (status >= 300 && status < 400)
        return redirected(status, response.headers.get("location") ?? undefined);
      if (!response.ok) throw new Error(`answers ${status}${saidIn(text)}, expected 200`);
      return "answers";
    },
  };
}

/** Why a server says that it is not ready; empty when the text is none of ours. */
function saidIn(text: string): string {
  let answer: { message?: unknown; sources?: { name: string; reason?: string }[] };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return "";
  }
  if (typeof answer?.message !== "string") return "";
  const reasons = Array.isArray(answer.sources) ? answer.sources.filter(({ reason }) => reason) : [];
  const said = [answer.message, ...reasons.map(({ name, reason }) => `${name}: ${reason}`)];
  return ` (${said.join("; ")})`;
}
