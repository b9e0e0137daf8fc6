/** Who may ask the metrics API, and for whose GPUs: its own token AUTH_TOKEN sees every company's, a JWT those of its companies. */
import { bearerToken, refuseJwtIn, unauthorized } from "../core/bearer.ts";
import { readCookie } from "../core/cookie.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { Settings } from "../core/settings.ts";
import type { Gate } from "../ports/gate.ts";

export interface MetricsAccessDeps {
  readonly settings: Pick<Settings, "AUTH_MODE" | "AUTH_TOKEN">;
  readonly gate: Gate;
}

/** Those of the caller's companies that are asked for: all of them, or the one that is named. @throws MillraceError `forbidden`. */
export type Visible = (companyId: CompanyId | undefined) => readonly CompanyId[] | "all";

const EVERYTHING: Visible = (companyId) => (companyId === undefined ? "all" : [companyId]);

/**
 * Fails closed: a credential that is not good shows nothing, also where none is asked for.
 * @throws MillraceError `unauthorized`, `invalid-input` for a JWT in the URL, and as the gate.
 */
export function metricsAccess({ settings, gate }: MetricsAccessDeps): (request: Request) => Promise<Visible> {
  const { AUTH_MODE, AUTH_TOKEN } = settings;

  const isAuthToken = async ({ headers }: Request): Promise<boolean> => {
    const token = bearerToken(headers);
    return AUTH_TOKEN !== undefined && token !== undefined && (await isSameText(token, AUTH_TOKEN));
  };

  const admit = async (request: Request): Promise<Principal | undefined> => {
    try {
      return (await gate.admit(request, "cookie")).principal;
    } catch (error) {
      const isStranger = error instanceof MillraceError && error.code === "unauthorized";
      if (isStranger && AUTH_TOKEN === undefined && !hasCredential(request)) return undefined;
      throw error;
    }
  };

  return async (request) => {
    refuseJwtIn(new URL(request.url).searchParams);
    if (await isAuthToken(request)) return EVERYTHING;
    // With AUTH_MODE=none the gate lets in anybody: who has set a token for this API wants it asked for.
    if (AUTH_MODE === "none" && AUTH_TOKEN !== undefined) throw unauthorized();
    const principal = await admit(request);
    if (principal === undefined || principal.companies === "all" || isOps(principal)) return EVERYTHING;
    const { companies } = principal;
    return (companyId) => {
      if (companyId === undefined) return companies.filter((company) => gate.mayRead(principal, company));
      gate.permit(principal, companyId);
      return [companyId];
    };
  };
}

/** Good or not, and of whatever scheme. */
function hasCredential({ url, headers }: Request): boolean {
  return headers.has("authorization") || readCookie(url, headers.get("cookie")) !== undefined;
}

/** In a time that does not tell how much of it is right: what is compared are hashes, which nobody can approach. */
async function isSameText(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const hashes = [a, b].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text)));
  const [first, second] = (await Promise.all(hashes)).map((hash) => new Uint8Array(hash));
  return first!.reduce((difference, byte, index) => difference | (byte ^ second![index]!), 0) === 0;
}
