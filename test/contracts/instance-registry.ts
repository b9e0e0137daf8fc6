/** The contract of the InstanceRegistry port (functions/ports/instance-registry.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { BridgeReport } from "../../functions/core/pipeline.ts";
import type { InstanceRegistry } from "../../functions/ports/instance-registry.ts";
import { waitFor } from "../support/wait.ts";

/** One empty store. */
interface InstanceRegistryBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<InstanceRegistry>;
  /** Reports held, of instances and of bridges, believed or not. */
  held(): Promise<number>;
}

export interface InstanceRegistryContract {
  readonly name: string;
  readonly create: (options: { leaseMs: number; lostMs: number }) => Promise<InstanceRegistryBackend>;
  readonly skip?: string | undefined;
}

const of = (connectionsByCompany: Record<string, number>) => ({
  connectionsByCompany: connectionsByCompany as Record<CompanyId, number>,
});

/** A bridge of one source. */
const bridgeOf = (name: string, appended = 0): BridgeReport => ({
  upMs: 1_000,
  sources: [
    {
      ...{ name, kind: "nats", state: "down", reason: 'refused "it"\n', rate: 0.1, appended },
      ...{ redelivered: 0, deadLetters: 2, lag: null, lastEventAt: null },
    },
  ],
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
        await using backend = await create({ leaseMs, lostMs: leaseMs });
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

    test("counts the instances that hold connections, but one", async (own, other) => {
      expect(await own.survey("a")).toEqual({ connectionsByCompany: {}, instances: 0, bridges: [] });
      await own.report("a", of({ acme: 3 }));
      await other.report("b", of({ acme: 4, initech: 2 }));
      await other.report("idle", of({ acme: 0 }));
      expect(await own.survey("a")).toMatchObject({
        connectionsByCompany: { acme: 4, initech: 2 },
        instances: 1,
      });
      expect(await own.survey("none of them")).toMatchObject({ instances: 2 });
    });

    test("holds the last report of every bridge, and its age", async (own, other, backend) => {
      await own.reportBridge("x", bridgeOf("orders"));
      await own.reportBridge("x", bridgeOf("orders", 7));
      await other.reportBridge('__proto__"}\n', bridgeOf("audit"));
      await other.report("x", of({ acme: 1 }));
      const { bridges, connectionsByCompany } = await other.survey("none");
      const byName = new Map(bridges.map(({ ageMs, ...held }) => [held.bridge, held]));
      expect(byName).toEqual(
        new Map([
          ["x", { bridge: "x", ...bridgeOf("orders", 7) }],
          ['__proto__"}\n', { bridge: '__proto__"}\n', ...bridgeOf("audit") }],
        ]),
      );
      expect(connectionsByCompany).toEqual({ acme: 1 });
      expect(bridges.every(({ ageMs }) => ageMs >= 0 && ageMs < 60_000)).toBe(true);
      await waitFor("it to grow older", async () =>
        (await own.survey("none")).bridges.every(({ ageMs }) => ageMs > 5),
      );
      await own.withdrawBridge("unknown");
      await own.withdrawBridge("x");
      expect((await other.survey("none")).bridges.map(({ bridge }) => bridge)).toEqual(['__proto__"}\n']);
      expect(await backend.held()).toBe(2);
    });

    test(
      "believes a report no longer than its lease, and keeps none for ever",
      async (own, other, backend) => {
        await own.report("dies", of({ acme: 3 }));
        await own.reportBridge("dies", bridgeOf("orders"));
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
          await other.reportBridge("lives", bridgeOf("orders"));
          const { bridges } = await other.survey("none");
          return bridges.length === 1 && (await backend.held()) === 2;
        });
      },
      300,
    );
  });
}
