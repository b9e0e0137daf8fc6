/** The contract of the InstanceRegistry port (functions/ports/instance-registry.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { InstanceRegistry } from "../../functions/ports/instance-registry.ts";
import { waitFor } from "../support/wait.ts";

/** One empty store. */
interface InstanceRegistryBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<InstanceRegistry>;
  /** Reports held, believed or not. */
  held(): Promise<number>;
}

export interface InstanceRegistryContract {
  readonly name: string;
  readonly create: (options: { leaseMs: number }) => Promise<InstanceRegistryBackend>;
  readonly skip?: string | undefined;
}

const of = (connectionsByCompany: Record<string, number>) => ({
  connectionsByCompany: connectionsByCompany as Record<CompanyId, number>,
});

export function describeInstanceRegistry({ name, create, skip }: InstanceRegistryContract): void {
  describe(`InstanceRegistry on ${name}`, () => {
    const test = (
      title: string,
      body: (
        own: InstanceRegistry,
        other: InstanceRegistry,
        backend: InstanceRegistryBackend,
      ) => Promise<void>,
      leaseMs = 3_600_000,
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create({ leaseMs });
        await body(await backend.open(), await backend.open(), backend);
      });

    test("adds up what all instances but one reported", async (own, other) => {
      expect(await own.connectionsByCompany("a")).toEqual({});
      await own.report("a", of({ acme: 3, globex: 1 }));
      await other.report("b", of({ acme: 4, initech: 2 }));
      await other.report("c", of({}));
      expect(await own.connectionsByCompany("a")).toEqual({ acme: 4, initech: 2 });
      expect(await other.connectionsByCompany("b")).toEqual({ acme: 3, globex: 1 });
      expect(await own.connectionsByCompany("none of them")).toEqual({ acme: 7, globex: 1, initech: 2 });
    });

    test("replaces an instance's report by its next one", async (own, other) => {
      await own.report("a", of({ acme: 3, globex: 1 }));
      await own.report("a", of({ acme: 2 }));
      expect(await other.connectionsByCompany("b")).toEqual({ acme: 2 });
    });

    test("takes a report back", async (own, other, backend) => {
      await own.report("a", of({ acme: 3 }));
      await other.withdraw("unknown");
      await own.withdraw("a");
      expect(await other.connectionsByCompany("b")).toEqual({});
      expect(await backend.held()).toBe(0);
    });

    test("takes any name of an instance and of a company for nothing but a name", async (own, other) => {
      const companies = JSON.parse('{"__proto__":1,"constructor":2,"0":3}') as Record<string, number>;
      await own.report('a"}\n', of(companies));
      await own.report("__proto__", of(companies));
      const sums = await other.connectionsByCompany("b");
      expect(Object.entries(sums).sort()).toEqual([
        ["0", 6],
        ["__proto__", 2],
        ["constructor", 4],
      ]);
      expect(Object.entries(await other.connectionsByCompany("__proto__"))).toContainEqual(["__proto__", 1]);
    });

    test(
      "believes a report no longer than its lease, and keeps none for ever",
      async (own, other, backend) => {
        await own.report("dies", of({ acme: 3 }));
        let renewals = 0;
        await waitFor("the lease to end", async () => {
          renewals++;
          await other.report("lives", of({ acme: 1 }));
          return Object.values(await other.connectionsByCompany("none")).join() === "1";
        });
        expect(renewals).toBeGreaterThan(2);
        await waitFor("it to be forgotten", async () => {
          await other.report("lives", of({ acme: 1 }));
          await other.connectionsByCompany("none");
          return (await backend.held()) === 1;
        });
      },
      300,
    );
  });
}
