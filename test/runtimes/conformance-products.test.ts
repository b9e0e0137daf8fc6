/** The conformance kit on what the reference server has nothing of: each defect, planted in front of Millrace, is found by the check of its rule. */
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHECKS } from "../../bin/conformance/checks/index.ts";
import { prepare } from "../../bin/conformance/run.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { type Defects, DISABLED_DEFECTS, PRODUCT_DEFECTS } from "../support/product-defects.ts";
import { missing } from "../support/servers.ts";
import { type Asked, type Defect, startTamperingProxy } from "../support/tampering-proxy.ts";
import { type ContractServer, startContractServer } from "./contract-support.ts";

const AREAS = ["telemetry", "services", "graphql", "openapi", "pipeline"];
const skip = missing("redis-server");

const signOperator = (secret: string) =>
  new SignJWT({ roles: ["ops"], companyId: TARGET_DEFAULTS.company })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(secret));

function describeDefects(name: string, defects: Defects, start: () => Promise<ContractServer>): void {
  describe.skipIf(skip !== undefined)(`conformance kit on ${name}`, () => {
    let server: ContractServer;
    let tokens: Asked["tokens"];
    beforeAll(async () => {
      server = await start();
      const { env, target } = server;
      tokens = { metrics: target.metricsToken!, operator: await signOperator(env.JWT_SECRET!) };
    });
    afterAll(async () => {
      await server?.target.publisher?.close();
      await server?.[Symbol.asyncDispose]();
    });

    /** The ids of the checks of these areas that failed. */
    const failed = async (defect: Defect, areas: readonly string[]): Promise<string[]> => {
      await using proxy = await startTamperingProxy(server.target.url, defect, tokens);
      const session = await prepare({
        ...{ ...server.target, url: proxy.url },
        ...{ profile: "millrace", patienceMs: 2_000 },
        // Others look at the same server.
        service: `kit-${randomUUID()}`,
      });
      const { checks, learned } = session;
      const found: string[] = [];
      for (const check of checks.filter(({ area }) => areas.includes(area))) {
        if (check.needs.includes("disabled") !== learned.disabled) continue;
        const { outcome } = await session.perform(check);
        if (outcome.kind === "not-run") throw new Error(`${check.id} not run: ${outcome.reason}`);
        if (outcome.kind === "fail") found.push(check.id);
      }
      return found;
    };

    it("blames nothing without a defect", async () => {
      expect(await failed({}, AREAS)).toEqual([]);
    });

    for (const [name, [defect, must, may = []]] of Object.entries(defects)) {
      it.concurrent(`finds a server that ${name}, and blames nothing else`, async () => {
        const areas = AREAS.filter((area) => must.some((id) => id.startsWith(`${area}.`)));
        const found = await failed(defect, areas);
        expect(found).toEqual(expect.arrayContaining([...must]));
        expect(found.filter((id) => !must.includes(id) && !may.includes(id))).toEqual([]);
      });
    }
  });
}

const onNode = { runtime: "node", store: "resp" } as const;
describeDefects("Millrace", PRODUCT_DEFECTS, () => startContractServer(onNode));
describeDefects("Millrace without streaming", DISABLED_DEFECTS, () =>
  startContractServer({ ...onNode, settings: { STREAMING_ENABLED: "false" } }),
);

it("every check of these areas is found failing by a defect", () => {
  const found = [PRODUCT_DEFECTS, DISABLED_DEFECTS]
    .flatMap((defects) => Object.values(defects))
    .flatMap(([, must]) => must);
  const ids = CHECKS.filter(({ area }) => AREAS.includes(area)).map(({ id }) => id);
  expect(ids.filter((id) => !found.includes(id))).toEqual([]);
});
