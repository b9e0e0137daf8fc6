/**
 * The reader's token, where the server wants one: in this tab alone, so that nothing of it is left when the tab is closed. Who is let in by a
 * cookie, or by a server that asks nobody, has none.
 */
const KEY = "millrace.token";

/** What the pages need of a token; the server alone decides what it is good for. */
export interface TokenFacts {
  readonly companies: readonly string[];
  readonly roles: readonly string[];
  /** Who: undefined where the token does not say. */
  readonly subject: string | undefined;
}

/** Undefined where there is none. */
export function readToken(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    // Storage is switched off: then the tab cannot remember.
    return memory;
  }
}
let memory: string | undefined;

/** `undefined` forgets it. */
export function writeToken(token: string | undefined): void {
  memory = token;
  try {
    if (token === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {}
}

/** What the token says of its companies and roles, unchecked; nothing where there is none or it is no JWT. */
export function tokenFacts(token: string | undefined): TokenFacts {
  const texts = (value: unknown): string[] =>
    (Array.isArray(value) ? value : [value]).filter((item) => typeof item === "string");
  try {
    const payload = (token ?? "").split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (char) =>
      char.charCodeAt(0),
    );
    const claims = Object(JSON.parse(new TextDecoder().decode(bytes)));
    const [subject] = texts(claims.sub);
    const companies = texts(claims.companies ?? claims.companyId);
    return { companies, roles: texts(claims.roles), subject };
  } catch {
    return { companies: [], roles: [], subject: undefined };
  }
}

/** `fetch` of this server with the reader's token, if there is one. */
export function fetchWithToken(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = readToken();
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  return fetch(path, { ...init, headers });
}
