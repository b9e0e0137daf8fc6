/** Who is let in to the reference server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Defect } from "./defects.ts";
import { COMPANY, CURSOR, type ReferenceLog, TYPE } from "./log.ts";

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * A function that answers a request that may not pass and returns true; false when it may.
 * `tokens`: token to the company it may read; empty: no authentication.
 */
export function createGuard(
  defect: Defect | undefined,
  tokens: Readonly<Record<string, string>>,
  log: ReferenceLog,
) {
  const refuse = (response: ServerResponse, status: number, error: string, message: string) => {
    const headers = status === 401 ? { "www-authenticate": "Bearer" } : {};
    if (defect === "refuses-with-text") response.writeHead(status, headers).end(message);
    else
      response
        .writeHead(status, { ...headers, "content-type": "application/json" })
        .end(JSON.stringify({ error, message }));
  };

  return (request: IncomingMessage, response: ServerResponse, query: URLSearchParams): boolean => {
    const company = query.get("companyId") ?? "";
    const bad = (what: string) => {
      refuse(response, 400, "Bad Request", `Cannot read ${what}`);
      return true;
    };
    if (
      defect !== "token-in-url-passes" &&
      [...query.values()].some((value) => JWT.test(value) && value.length > 80)
    )
      return bad("a token in the URL: URLs are logged");
    if (!COMPANY.test(company)) return bad("companyId");
    const types = query.get("types");
    if (types?.split(",").some((type) => !TYPE.test(type))) return bad("types");
    for (const cursor of [request.headers["last-event-id"], query.get("lastEventId"), query.get("after")]) {
      if (
        cursor &&
        defect !== "unchecked-cursor" &&
        !(typeof cursor === "string" && CURSOR.test(log.read(cursor)))
      )
        return bad("cursor");
    }
    if (Object.keys(tokens).length === 0) return false;
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const known =
      defect === "forged-token-passes"
        ? Object.keys(tokens).find((each) => each.split(".")[1] === token.split(".")[1])
        : token;
    const fromUrl = defect === "token-in-url-passes" ? (query.get("token") ?? "") : "";
    const reads = tokens[known ?? ""] ?? tokens[fromUrl];
    if (reads === undefined) {
      refuse(
        response,
        401,
        "Unauthorized",
        `Cannot verify the token${defect === "body-of-401-repeats-token" ? ` ${token}` : ""}`,
      );
      return true;
    }
    if (reads === company) return false;
    refuse(response, 403, "Forbidden", "You can only stream events for your own company");
    return true;
  };
}
