/**
 * Microseconds on a clock that every process of this machine shares: `hrtime` counts from the start of the machine, so a stamp
 * made by the publisher can be compared in the client, and no correction of the wall clock moves it.
 */
const offset = measureOffset();

/** `performance.now()` is the cheaper call and counts from elsewhere: the pair read closest together tells by how much. */
function measureOffset(): number {
  let best = { gap: Number.POSITIVE_INFINITY, offset: 0 };
  for (let tries = 0; tries < 20; tries++) {
    const before = performance.now();
    const shared = Number(process.hrtime.bigint()) / 1000;
    const after = performance.now();
    if (after - before < best.gap) best = { gap: after - before, offset: shared - (before + after) * 500 };
  }
  return best.offset;
}

export function nowMicros(): number {
  return Math.round(performance.now() * 1000 + offset);
}
