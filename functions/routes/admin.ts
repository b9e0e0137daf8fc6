/** `/admin`: what the role `ops` decides about companies and subjects, in force on every instance within a second. */
import { type Context, Hono } from "hono";
import * as z from "zod";
import { ALL_FEATURES, type CompanyFeatures } from "../core/access-rule.ts";
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, isCompanyId, parseCompanyId } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { AccessRules } from "../ports/access-rules.ts";
import type { Gate } from "../ports/gate.ts";
import { NO_STORE } from "./answer.ts";
import { parseJsonBody, readBody } from "./json-body.ts";

export interface AdminDeps {
  readonly gate: Gate;
  readonly rules: Pick<AccessRules, "read" | "put" | "changeFeatures">;
  readonly logger: Logger;
}

const FEATURES = z.strictObject({
  streaming: z.boolean("expected true or false").optional(),
  maxConnections: z
    .int("expected a whole number from 0 to 10000000, or null for the setting's")
    .min(0)
    .max(10_000_000)
    .nullable()
    .optional(),
});

const company = z.custom<CompanyId>(isCompanyId, "expected 1-64 characters of A-Z a-z 0-9 . _ -");
const REVOCATION = z.union(
  [z.strictObject({ subject: z.string().min(1).max(256) }), z.strictObject({ companyId: company })],
  'expected {"subject": "1-256 characters"} or {"companyId": "1-64 characters of A-Z a-z 0-9 . _ -"}',
);

export function adminRoutes({ gate, rules, logger }: AdminDeps): Hono {
  const admit = async (c: Context): Promise<Principal> => {
    const { principal } = await gate.admit(c.req.raw, "bearer");
    if (isOps(principal)) return principal;
    throw new MillraceError(
      "forbidden",
      `Cannot ${c.req.method} ${c.req.path}: expected a token of the role ops`,
    );
  };

  /** From the store, not the copy, which may be late. */
  const featuresOf = async (company: CompanyId): Promise<CompanyFeatures> => {
    for (const rule of await rules.read()) {
      if (rule.kind === "features" && rule.company === company) return rule.features;
    }
    return ALL_FEATURES;
  };

  const answer = (c: Context, companyId: CompanyId, { streaming, maxConnections }: CompanyFeatures) =>
    c.json({ companyId, streaming, maxConnections: maxConnections ?? null }, 200, NO_STORE);

  const app = new Hono();
  app.get("/admin/companies/:id/features", async (c) => {
    await admit(c);
    const company = parseCompanyId(c.req.param("id"));
    return answer(c, company, await featuresOf(company));
  });
  app.put("/admin/companies/:id/features", async (c) => {
    const text = await readBody(c);
    const { subject } = await admit(c);
    const company = parseCompanyId(c.req.param("id"));
    const features = await rules.changeFeatures(company, parseJsonBody(c, text, FEATURES));
    logger.info({ company, ...features, by: subject }, "Features of a company were changed");
    return answer(c, company, features);
  });
  app.post("/admin/revocations", async (c) => {
    const text = await readBody(c);
    const { subject: by } = await admit(c);
    const whom = parseJsonBody(c, text, REVOCATION);
    const atMs = Date.now();
    const allMs = await rules.put(
      "subject" in whom
        ? { kind: "subject-revoked", subject: whom.subject, atMs }
        : { kind: "company-revoked", company: whom.companyId, atMs },
    );
    logger.info({ ...whom, by }, "Tokens were revoked");
    if (allMs !== undefined) {
      const until = new Date(allMs).toISOString();
      logger.warn(
        { until },
        "Too many revocations are kept: everybody's tokens issued until then were revoked",
      );
    }
    return c.json({ ...whom, revokedAt: new Date(atMs).toISOString() }, 200, NO_STORE);
  });
  return app;
}
