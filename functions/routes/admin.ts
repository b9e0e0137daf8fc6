/** `/admin`: what the role `ops` decides about companies and subjects, in force on every instance within a second. */
import { type Context, Hono } from "hono";
import * as z from "zod";
import { ALL_FEATURES, type CompanyFeatures } from "../core/access-rule.ts";
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, parseCompanyId } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { AccessRules } from "../ports/access-rules.ts";
import type { Gate } from "../ports/gate.ts";
import { NO_STORE } from "./answer.ts";
import { parseJsonBody, readBody } from "./json-body.ts";
import type { Operation } from "./operation.ts";
import { COMPANY } from "./query.ts";

export interface AdminDeps {
  readonly gate: Gate;
  readonly rules: Pick<AccessRules, "read" | "put" | "changeFeatures">;
  readonly logger: Logger;
}

const FEATURES = z
  .strictObject({
    streaming: z.boolean("expected true or false").optional(),
    maxConnections: z
      .int("expected a whole number from 0 to 10000000, or null for the setting's")
      .min(0)
      .max(10_000_000)
      .nullable()
      .optional(),
  })
  .meta({ description: "What is left out stays", examples: [{ streaming: false }, { maxConnections: 500 }] });

const REVOCATION = z
  .union(
    [z.strictObject({ subject: z.string().min(1).max(256) }), z.strictObject({ companyId: COMPANY })],
    'expected {"subject": "1-256 characters"} or {"companyId": "1-64 characters of A-Z a-z 0-9 . _ -"}',
  )
  .meta({ examples: [{ subject: "user-7" }, { companyId: "acme" }] });

const FEATURES_OF = z
  .object({
    companyId: COMPANY,
    streaming: z.boolean().meta({ description: "False: its streams are refused" }),
    maxConnections: z
      .int()
      .min(0)
      .nullable()
      .meta({ description: "Open streams on one instance; null: MAX_CONNECTIONS_PER_COMPANY" }),
  })
  .meta({ id: "Features", examples: [{ companyId: "acme", streaming: true, maxConnections: null }] });

const PARAMS = z.object({ id: COMPANY.meta({ description: "The company" }) });

export const READ_FEATURES = {
  method: "get",
  path: "/admin/companies/:id/features",
  id: "readFeatures",
  tag: "Access",
  access: "bearer",
  summary: "What a company may use",
  description: "Takes the role `ops`.",
  params: PARAMS,
  answers: { 200: { description: "Now", json: FEATURES_OF } },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export const CHANGE_FEATURES = {
  method: "put",
  path: "/admin/companies/:id/features",
  id: "changeFeatures",
  tag: "Access",
  access: "bearer",
  summary: "Change it, in force everywhere within a second",
  description: "Takes the role `ops`.",
  params: PARAMS,
  body: FEATURES,
  answers: { 200: { description: "As they are now", json: FEATURES_OF } },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export const REVOKE = {
  method: "post",
  path: "/admin/revocations",
  id: "revoke",
  tag: "Access",
  access: "bearer",
  summary: "Make tokens worthless that were issued until now",
  description: "Of a subject, or for a company. Open streams close within a second. Takes the role `ops`.",
  body: REVOCATION,
  answers: {
    200: {
      description: "Done",
      json: z.object({
        subject: z.string().optional(),
        companyId: COMPANY.optional(),
        revokedAt: z.iso.datetime(),
      }),
    },
  },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

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
  app.get(READ_FEATURES.path, async (c) => {
    await admit(c);
    const company = parseCompanyId(c.req.param("id"));
    return answer(c, company, await featuresOf(company));
  });
  app.put(CHANGE_FEATURES.path, async (c) => {
    const text = await readBody(c);
    const { subject } = await admit(c);
    const company = parseCompanyId(c.req.param("id"));
    const features = await rules.changeFeatures(company, parseJsonBody(c, text, CHANGE_FEATURES.body));
    logger.info({ company, ...features, by: subject }, "Features of a company were changed");
    return answer(c, company, features);
  });
  app.post(REVOKE.path, async (c) => {
    const text = await readBody(c);
    const { subject: by } = await admit(c);
    const whom = parseJsonBody(c, text, REVOKE.body);
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
