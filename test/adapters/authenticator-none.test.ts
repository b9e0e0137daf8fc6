import { expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";

it("createNoAuthenticator lets anyone read everything, for good", async () => {
  const principal = await createNoAuthenticator().authenticate(new Request("http://localhost/"));
  expect(principal.mayRead(parseCompanyId("acme"))).toBe(true);
  expect(principal).toMatchObject({ companies: undefined, roles: ["ops"], expiresAtMs: undefined });
});
