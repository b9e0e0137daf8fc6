import { expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { mayRead } from "../../functions/core/principal.ts";

it("createNoAuthenticator lets anyone read everything, for good", async () => {
  const principal = await createNoAuthenticator().authenticate(undefined);
  expect(mayRead(principal, parseCompanyId("acme"))).toBe(true);
  expect(principal).toMatchObject({ subject: undefined, companies: "all", roles: ["ops"] });
  expect(principal.expiresAtMs).toBeUndefined();
});
