/** The contract of the Tickets port (functions/ports/tickets.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { Tickets } from "../../functions/ports/tickets.ts";
import { waitFor } from "../support/wait.ts";

/** One empty store. */
interface TicketsBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<Tickets>;
  /** Tickets held, good or not. */
  held(): Promise<number>;
}

export interface TicketsContract {
  readonly name: string;
  readonly create: () => Promise<TicketsBackend>;
  readonly skip?: string | undefined;
}

export function describeTickets({ name, create, skip }: TicketsContract): void {
  describe(`Tickets on ${name}`, () => {
    const test = (
      title: string,
      body: (own: Tickets, other: Tickets, backend: TicketsBackend) => Promise<void>,
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create();
        await body(await backend.open(), await backend.open(), backend);
      });

    test("take: what was put, on every instance, once", async (own, other, backend) => {
      await own.put("one", "sealed-1", 60_000);
      await own.put("two", "sealed-2", 60_000);
      expect(await other.take("two")).toBe("sealed-2");
      expect(await other.take("two")).toBeUndefined();
      expect(await own.take("two")).toBeUndefined();
      expect(await own.take("one")).toBe("sealed-1");
      expect(await own.take("never put")).toBeUndefined();
      expect(await backend.held()).toBe(0);
    });

    test("take: of many at the same time on two instances exactly one gets it", async (own, other) => {
      for (let round = 0; round < 20; round++) {
        await own.put(`id-${round}`, `sealed-${round}`, 60_000);
        const taken = await Promise.all(
          Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? own : other).take(`id-${round}`)),
        );
        expect(taken.filter((sealed) => sealed !== undefined)).toEqual([`sealed-${round}`]);
      }
    });

    test("take: nothing once its time is over, and nothing is kept for ever", async (own, other, backend) => {
      await own.put("short", "sealed", 20);
      await own.put("long", "sealed", 60_000);
      const endMs = Date.now() + 20;
      await waitFor("its end", () => Date.now() > endMs);
      expect(await own.take("short")).toBeUndefined();
      await waitFor("it to be forgotten", async () => {
        await own.put(`probe-${Math.random()}`, "sealed", 1);
        return (await backend.held()) <= 2;
      });
      expect(await other.take("long")).toBe("sealed");
    });

    test("put: an id and a text are nothing but texts, of any length", async (own, other) => {
      const sealed = "aZ09_-".repeat(2_000);
      for (const id of ["x", "*", "a{b}c", "'; DROP TABLE tickets; --", "é🚂"]) {
        await own.put(id, sealed, 60_000);
        expect(await other.take(id)).toBe(sealed);
      }
    });
  });
}
