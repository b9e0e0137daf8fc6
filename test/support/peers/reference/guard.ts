/** Who is let in to the reference server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { bearerOf, endOf, type ReferenceAccess } from "./access.ts";
import type { Defect } from "./defects.ts";
import { COMPANY, CURSOR, LATEST, type ReferenceLog, TYPE } from "./log.ts";

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** With which token a request may pass, undefined where none is asked for; and the headers of its answer. */
export interface Passed {
  readonly token: string | undefined;
  readonly headers: Record<string, string>;
}

/**
 * A function that answers a request that may not pass and returns undefined.
 * `tokens`: token to the company it may read; empty: no authentication.
 */
export function createGuard(
  defect: Defect | undefined,
  tokens: Readonly<Record<string, string>>,
  log: ReferenceLog,
  access: ReferenceAccess,
) {
  const refuse = (response: ServerResponse, status: number, error: string, message: string) => {
    const headers = status === 401 ? { "www-authenticate": "Bearer" } : {};
    if (defect === "refuses-with-text") response.writeHead(status, headers).end(message);
    else
      response
        .writeHead(status, { ...headers, "content-type": "application/json" })
        .end(JSON.stringify({ error, message }));
  };

  return (request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Passed | undefined => {
    const company = query.get("companyId") ?? "";
    const bad = (what: string): undefined => {
      refuse(response, 400, "Bad Request", `Cannot read ${what}`);
      return undefined;
    };
    if (
      defect !== "token-in-url-passes" &&
      [...query.values()].some((value) => JWT.test(value) && value.length > 80)
    )
      return bad("a token in the URL: URLs are logged");
    if (!COMPANY.test(company)) return bad("companyId");
    const types = query.get("types");
    if (types?.split(",").some((type) => !TYPE.test(type))) return bad("types");
    const after = query.get("after");
    const cursors = [
      request.headers["last-event-id"],
      query.get("lastEventId"),
      after === LATEST ? "" : after,
    ];
    for (const cursor of cursors) {
      if (
        cursor &&
        defect !== "unchecked-cursor" &&
        !(typeof cursor === "string" && CURSOR.test(log.read(cursor)))
      )
        return bad("cursor");
    }
    if (Object.keys(tokens).length === 0) return { token: undefined, headers: {} };
    const bearer = bearerOf(request);
    const found = bearer === undefined ? access.tokenOf(request, query) : { token: bearer };
    const token = found?.token ?? "";
    const known =
      defect === "forged-token-passes"
        ? Object.keys(tokens).find((each) => each.split(".")[1] === token.split(".")[1])
        : token;
    const fromUrl = defect === "token-in-url-passes" ? (query.get("token") ?? "") : "";
    const reads = tokens[known ?? ""] ?? tokens[fromUrl];
    const hasEnded = token !== "" && reads !== undefined && endOf(token) < Date.now();
    if (reads === undefined || hasEnded) {
      refuse(
        response,
        401,
        "Unauthorized",
        `Cannot verify the token${defect === "body-of-401-repeats-token" ? ` ${token}` : ""}`,
      );
      return undefined;
    }
    const headers = found?.setCookie === undefined ? {} : { "set-cookie": found.setCookie };
    if (reads === company || (defect === "ticket-for-all" && query.has("ticket"))) return { token, headers };
    refuse(response, 403, "Forbidden", "You can only stream events for your own company");
    return undefined;
  };
}
