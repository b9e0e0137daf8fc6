/**
 * When a Durable Object's hub writes. workerd's clock stands still while code runs, so the hub cannot measure what its turns take and pace
 * itself (functions/hub/turns.ts); here the pace follows from how many there are to write to.
 */

/** Milliseconds between two turns for each client: a write takes workerd about 0.04 (`npm run bench`, workerd), so that half of a core is free. */
const MS_A_CLIENT = 0.1;
/** Milliseconds at most: what is delivered later than that is late, however many clients there are. */
const MAX_MS = 100;

/** `clients`: who would be written to. The first turn after a pause comes at once, and so does one that a turn itself asks for: it left something over. */
export function createTurnSchedule(clients: () => number): (run: () => void) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let isRunning = false;
  return (run) => {
    const dueMs = isRunning ? 0 : lastMs + Math.min(MAX_MS, clients() * MS_A_CLIENT);
    setTimeout(
      () => {
        lastMs = Date.now();
        isRunning = true;
        try {
          run();
        } finally {
          isRunning = false;
        }
      },
      Math.max(0, dueMs - Date.now()),
    );
  };
}
