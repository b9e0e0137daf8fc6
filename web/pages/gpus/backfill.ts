/** Fills the map where the stream has not been yet: the list of GPUs, then the newest readings of each, a few requests at once. */
import { type Api, ApiError, type GpuList } from "./api.ts";
import type { Reading } from "./fleet.ts";

export interface BackfillOptions {
  readonly api: Api;
  onList(list: GpuList): void;
  /** Whether the GPU's readings are not there yet. */
  isWanted(uuid: string): boolean;
  onReadings(readings: readonly Reading[]): void;
  onFailure(error: ApiError): void;
}

export interface Backfill {
  /** Does nothing while it runs. `again`: also GPUs whose readings are there. Tries again by itself after a failure that will pass. */
  run(options?: { readonly again?: boolean }): Promise<void>;
}

/** A browser has six connections to a server without HTTP/2; two are for the stream and what the reader does. */
const AT_ONCE = 3;
const RETRY_MS = 10_000;

export function createBackfill({ api, onList, isWanted, onReadings, onFailure }: BackfillOptions): Backfill {
  let isRunning = false;

  async function run({ again = false } = {}): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    try {
      const list = await api.gpus();
      onList(list);
      const waiting = list.gpus.map(({ uuid }) => uuid);
      const work = async () => {
        for (let uuid = waiting.shift(); uuid !== undefined; uuid = waiting.shift()) {
          if (again || isWanted(uuid)) onReadings(await api.latest(uuid));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } catch (error) {
      if (error instanceof ApiError) onFailure(error);
      const isFinal = error instanceof ApiError && error.status < 500 && error.status !== 429;
      if (!isFinal) setTimeout(() => void run({ again }), RETRY_MS);
    } finally {
      isRunning = false;
    }
  }
  return { run };
}
