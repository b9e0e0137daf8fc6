/** One stand-in and one program for the tests of a file, and queues of a test's own. */
import { afterAll, beforeAll, beforeEach, onTestFinished } from "vitest";
import { type Client, connectProgram, type Program, startClient } from "./client.ts";
import {
  BRIDGE,
  missingStandIn,
  PRODUCER,
  type StandIn,
  type StandInOptions,
  startStandIn,
} from "./stand-in.ts";

export interface Fixture {
  readonly standIn: StandIn;
  readonly client: Client;
  /** Defines a queue both users may put to, get from and inquire; gives its name. */
  define(attributes?: string): Promise<string>;
  /** A connection of the shared program, as the producer, ended with the test. */
  connect(): Promise<Program>;
  /** A program of its own, connected as the producer: to kill. */
  spawn(): Promise<{ readonly client: Client; readonly program: Program }>;
}

/** MQSC that gives both users everything the tests do on a queue. */
const rightsOn = (queue: string) =>
  [BRIDGE, PRODUCER].map(
    ({ user }) => `SET AUTHREC PROFILE(${queue}) OBJTYPE(QUEUE) PRINCIPAL('${user}') AUTHADD(PUT,GET,INQ)`,
  );

/** To be called in a describe; its tests are skipped where the stand-in cannot run. */
export function useStandIn(options: StandInOptions = {}): Fixture {
  let standIn: StandIn;
  let client: Client;
  let count = 0;
  beforeAll(async () => {
    if (missingStandIn()) return;
    standIn = await startStandIn(options);
    client = startClient(standIn);
  });
  beforeEach(async (context) => {
    const missing = missingStandIn();
    if (missing) context.skip(missing);
    await standIn.clearFaults();
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await standIn?.[Symbol.asyncDispose]();
  });
  return {
    get standIn() {
      return standIn;
    },
    get client() {
      return client;
    },
    async define(attributes = "") {
      const queue = `TEST.${++count}`;
      const results = await standIn.run(
        [`DEFINE QLOCAL(${queue}) ${attributes}`, ...rightsOn(queue)].join("\n"),
      );
      const refused = results.find(({ isOk }) => !isOk);
      if (refused) throw new Error(refused.answer);
      return queue;
    },
    async connect() {
      const program = await connectProgram(client, standIn);
      onTestFinished(() => program.disconnect().catch(() => {}));
      return program;
    },
    async spawn() {
      const own = startClient(standIn);
      onTestFinished(() => own.kill());
      return { client: own, program: await connectProgram(own, standIn) };
    },
  };
}
