/** Heartbeats: a quiet stream is not a silent one. */
import { type Check, fail, MILLRACE, notRun, PROMISED, pass } from "../check.ts";
import { newRunId } from "../context.ts";

/** Milliseconds a timer and the way through may add. */
const SLACK_MS = 2_000;

export const heartbeatChecks: readonly Check[] = [
  {
    id: "heartbeat.comment",
    area: "heartbeat",
    title: "A quiet stream carries a comment before proxies lose patience",
    source: "WHATWG HTML 9.2.7 (a comment line every 15 seconds or so)",
    levels: PROMISED,
    needs: ["stream"],
    stage: "background",
    async run({ target, learned, open, settle, othersDone }) {
      const { heartbeatMs, patienceMs } = target;
      if (heartbeatMs + SLACK_MS > patienceMs) {
        return notRun(
          `a heartbeat may take ${heartbeatMs} ms, longer than the patience of ${patienceMs} ms (--patience, --heartbeat-ms)`,
        );
      }
      // Where anyone may open any company, one that has no events; else the only quiet time is after the other checks.
      if (target.token) await othersDone;
      const stream = await open(target.token ? {} : { company: `quiet-${newRunId()}` });
      await settle();
      // What is among the opening frames is no heartbeat. Elsewhere any frame that dispatches nothing will do.
      const { comments, blocks } = stream.parsed;
      const opening = blocks.length;
      const beats = () =>
        learned.profile === "millrace"
          ? stream.parsed.comments > comments
          : blocks.slice(opening).some(({ event }) => !event);
      const startMs = performance.now();
      // Where others publish it may be some time before the stream is quiet.
      const beaten = await stream.until(beats, patienceMs);
      const silence = longest([
        startMs,
        ...stream.chunkTimesMs.filter((ms) => ms > startMs),
        performance.now(),
      ]);
      if (beaten) return pass(`a frame after ${silence} ms of silence`);
      if (stream.ended) return fail(`the server closed the quiet stream after ${silence} ms of silence`);
      return silence > heartbeatMs
        ? fail(`${silence} ms of silence, expected a comment at least every ${heartbeatMs} ms`)
        : notRun(`the stream was never quiet for ${heartbeatMs} ms: no heartbeat is due`);
    },
  },
  {
    id: "heartbeat.web-socket",
    area: "heartbeat",
    title: "A quiet WebSocket carries an empty message, which a page sees where it sees no ping",
    source: "Millrace PROTOCOL, WebSocket",
    levels: MILLRACE,
    needs: ["stream"],
    stage: "background",
    async run({ target, openSocket, othersDone }) {
      const { heartbeatMs, patienceMs } = target;
      if (heartbeatMs + SLACK_MS > patienceMs)
        return notRun(`a heartbeat may take ${heartbeatMs} ms, longer than the patience of ${patienceMs} ms`);
      if (target.token) await othersDone;
      const socket = await openSocket(target.token ? {} : { company: `quiet-${newRunId()}` });
      const startMs = performance.now();
      const isBeat = (message: object) => Object.keys(message).length === 0;
      const beaten = await socket.until(() => socket.messages.some(isBeat), patienceMs);
      const silence = longest([startMs, ...socket.timesMs.filter((ms) => ms > startMs), performance.now()]);
      if (beaten) return pass(`an empty message after ${silence} ms of silence`);
      return silence > heartbeatMs
        ? fail(`${silence} ms of silence, expected an empty message at least every ${heartbeatMs} ms`)
        : notRun(`the WebSocket was never quiet for ${heartbeatMs} ms: no heartbeat is due`);
    },
  },
];

/** The longest time between two that follow each other. */
function longest(timesMs: readonly number[]): number {
  return Math.round(Math.max(...timesMs.map((ms, index) => ms - (timesMs[index - 1] ?? ms))));
}
