/** The project's MQSC, and infra/mq/configure.sh with a runmqsc and a docker of the tests that speak to the stand-in. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connectProgram, type Program, startClient } from "../support/mq/client.ts";
import { OO, OT } from "../support/mq/constants.ts";
import {
  BRIDGE,
  missingStandIn,
  PRODUCER,
  projectMqsc,
  type StandIn,
  type StandInOptions,
  startStandIn,
} from "../support/mq/stand-in.ts";
import { start } from "../support/process.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

beforeEach((context) => {
  const missing = missingStandIn();
  if (missing) context.skip(missing);
});

async function open(options: StandInOptions = {}): Promise<StandIn> {
  const standIn = await startStandIn(options);
  onTestFinished(() => standIn[Symbol.asyncDispose]());
  return standIn;
}

describe("mqsc", () => {
  const connect = async (standIn: StandIn, who: typeof BRIDGE | typeof PRODUCER): Promise<Program> => {
    const client = startClient(standIn);
    onTestFinished(() => client.kill());
    return connectProgram(client, standIn, who);
  };
  const copies = [
    ["APP.TXN.IN", "AUDIT.TXN"],
    ["ORDERS.IN", "PROMO.FEED"],
    ["INV.UPDATES", "CENTRAL.SYNC"],
  ] as const;

  it("STREAMQ: a producer's put to a source queue is copied to its stream queue, where the bridge gets it", async () => {
    const standIn = await open();
    const [producer, bridge] = [await connect(standIn, PRODUCER), await connect(standIn, BRIDGE)];
    for (const [source, stream] of copies) {
      const msgId = await producer.put(source, stream, { properties: { companyid: "acme" } });
      const copy = await bridge.get(stream, { hasHandle: true });
      expect(copy).toMatchObject({ msgId, body: stream, persistence: 1, properties: { companyid: "acme" } });
      expect(await standIn.depth(source)).toBe(1);
    }
  });

  it("STRMQOS: a full stream queue stops audit and inventory puts, not orders", async () => {
    const full = copies.map(([, stream]) => `ALTER QLOCAL(${stream}) MAXDEPTH(0)`).join("\n");
    const standIn = await open({ commands: full });
    const producer = await connect(standIn, PRODUCER);
    const outcomes = copies.map(([source]) =>
      producer.put(source, "x").then(
        () => 0,
        ({ reason }) => reason,
      ),
    );
    expect(await Promise.all(outcomes)).toEqual([2053, 0, 2053]);
  });

  it("backout: each stream queue has a threshold and a queue the bridge may put to, with its context", async () => {
    const standIn = await open();
    const client = startClient(standIn);
    onTestFinished(() => client.kill());
    const bridge = await connectProgram(client, standIn, BRIDGE);
    for (const [, stream] of copies) {
      const [threshold, queue] = await bridge.inquire(stream, 22, 2019);
      expect([threshold, queue]).toEqual([20, `${stream}.BACKOUT`]);
      await client.open(bridge.connection, String(queue), OO.OUTPUT | OO.SET_ALL_CONTEXT, OT.Q);
    }
  });

  it("authorities: nobody may do more than its work", async () => {
    const standIn = await open();
    const client = startClient(standIn);
    onTestFinished(() => client.kill());
    const allowed = async (who: typeof BRIDGE | typeof PRODUCER) => {
      const { connection } = await connectProgram(client, standIn, who);
      const queues = [
        ...copies.flat(),
        ...copies.map(([, stream]) => `${stream}.BACKOUT`),
        "MILLRACE.DEAD.LETTERS",
      ];
      const found: string[] = [];
      for (const queue of queues) {
        for (const [name, options] of Object.entries({
          get: OO.INPUT_SHARED,
          put: OO.OUTPUT,
          inquire: OO.INQUIRE,
        })) {
          await client.open(connection, queue, options, OT.Q).then(
            () => found.push(`${name} ${queue}`),
            ({ reason }) => expect(reason).toBe(2035),
          );
        }
      }
      return found;
    };
    expect(await allowed(PRODUCER)).toEqual(copies.map(([source]) => `put ${source}`));
    expect(await allowed(BRIDGE)).toEqual([
      ...copies.flatMap(([, stream]) => [`get ${stream}`, `inquire ${stream}`]),
      ...copies.map(([, stream]) => `put ${stream}.BACKOUT`),
    ]);
  });

  it("channels: closed to everybody once their rules are gone", async () => {
    const standIn = await open();
    await standIn.run(
      ["BRIDGE", "PRODUCER"]
        .flatMap((name) => [
          `SET CHLAUTH(MILLRACE.${name}) TYPE(ADDRESSMAP) ADDRESS('*') ACTION(REMOVE)`,
          `SET CHLAUTH(MILLRACE.${name}) TYPE(USERMAP) CLNTUSER('mr${name.toLowerCase()}') ACTION(REMOVE)`,
        ])
        .join("\n"),
    );
    await expect(connect(standIn, BRIDGE)).rejects.toMatchObject({ reason: 2035 });
    await expect(connect(standIn, PRODUCER)).rejects.toMatchObject({ reason: 2035 });
  });

  it("again: keeps messages, and leaves a source queue that exists as it is but for its stream", async () => {
    const own = "DEFINE QLOCAL(ORDERS.IN) DESCR('Ours since 1999') MAXDEPTH(42) BOTHRESH(9)";
    const standIn = await open({ mqsc: [], commands: own });
    await standIn.put("ORDERS.IN", "waiting");
    for (const file of [...projectMqsc(), ...projectMqsc()]) {
      const failed = (await standIn.run(readFileSync(file, "utf8"))).filter(({ isOk }) => !isOk);
      expect(failed.filter(({ answer }) => !answer.startsWith("AMQ8150E"))).toEqual([]);
    }
    const [shown] = await standIn.run("DISPLAY QLOCAL(ORDERS.IN) DESCR MAXDEPTH BOTHRESH STREAMQ CURDEPTH");
    for (const kept of [
      "DESCR(Ours since 1999)",
      "MAXDEPTH(42)",
      "BOTHRESH(9)",
      "STREAMQ(PROMO.FEED)",
      "CURDEPTH(1)",
    ]) {
      expect(shown!.answer).toContain(kept);
    }
  });

  it("developer-image.mqsc: the image's user may do what the bridge and the producers do", async () => {
    const app = { channel: "DEV.APP.SVRCONN", user: "app", password: "passw0rd" };
    const standIn = await open({
      mqsc: [...projectMqsc(), join(root, "mqsc/developer-image.mqsc")],
      // As the image sets it up.
      commands: `DEFINE CHANNEL(DEV.APP.SVRCONN) CHLTYPE(SVRCONN) MCAUSER('app')
SET CHLAUTH('DEV.APP.SVRCONN') TYPE(ADDRESSMAP) ADDRESS('*') USERSRC(CHANNEL) CHCKCLNT(REQUIRED)`,
      passwords: { app: app.password },
    });
    const program = await connect(standIn, app as never);
    await program.put("APP.TXN.IN", "x");
    expect(await program.inquire("AUDIT.TXN", 3)).toEqual([1]);
    expect((await program.getInUnit("AUDIT.TXN")).body).toBe("x");
    await program.put("AUDIT.TXN.BACKOUT", "x");
  });
});

describe("infra/mq/configure.sh", () => {
  /** A folder with a `runmqsc` and a `docker` that run the tests' runmqsc. */
  const programs = () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-runmqsc-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const script = fileURLToPath(new URL("../support/mq/runmqsc.ts", import.meta.url));
    const write = (name: string, body: string) => {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(folder, name), 0o755);
    };
    write("runmqsc", `exec "${process.execPath}" "${script}" "$@"`);
    write("docker", `[ "$1 $2 $3" = "exec -i qm1" ] || exit 125\nshift 3\nexec "$@"`);
    return folder;
  };
  const configure = async (standIn: StandIn | undefined, ...args: string[]) => {
    const running = start("sh", [join(root, "infra/mq/configure.sh"), ...args], {
      cwd: tmpdir(),
      env: {
        ...standIn?.env,
        MILLRACE_STAND_IN_NAME: standIn?.queueManager ?? "",
        ...(standIn && { PATH: `${programs()}:${process.env.PATH}` }),
      },
    });
    await new Promise((resolve) => running.child.once("close", resolve));
    return { status: running.child.exitCode, output: running.output() };
  };
  const file = (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-mqsc-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "more.mqsc"), text);
    return join(folder, "more.mqsc");
  };

  it("applies the project's files, verifies them, and does so again", async () => {
    const standIn = await open({ mqsc: [] });
    for (let round = 0; round < 2; round++) {
      const { status, output } = await configure(standIn);
      expect(output).toMatch(/verified QM1: \d\d commands are in force/);
      expect(status).toBe(0);
    }
    const client = startClient(standIn);
    onTestFinished(() => client.kill());
    await (await connectProgram(client, standIn, PRODUCER)).put("APP.TXN.IN", "x");
    expect(await standIn.depth("AUDIT.TXN")).toBe(1);
  });

  it("--container and --qmgr: by docker exec, in that queue manager", async () => {
    const standIn = await open({ mqsc: [], queueManager: "QM7" });
    expect(await configure(standIn, "--qmgr", "QM7", "--container", "qm1")).toMatchObject({ status: 0 });
    const { status, output } = await configure(standIn, "--container", "another", "--qmgr", "QM7");
    expect([status, output]).toEqual([1, expect.stringContaining("status 125")]);
  });

  it("--mqsc: the files given, and no other", async () => {
    const standIn = await open({ mqsc: [] });
    const more = file("* one\nDEFINE QLOCAL(ONE) REPLACE +\n  DESCR('It''s one') MAXDEPTH(7)\n");
    const other = file("DEFINE QLOCAL(TWO) REPLACE MAXDEPTH(8)\n");
    const { status, output } = await configure(standIn, "--mqsc", more, "--mqsc", other);
    expect([status, output]).toEqual([0, expect.stringContaining("verified QM1: 2 commands")]);
    expect((await standIn.run("DISPLAY QLOCAL(AUDIT.TXN)"))[0]!.isOk).toBe(false);
  });

  it("a dead-letter queue that is set already stays", async () => {
    const standIn = await open({ mqsc: [], commands: "DEFINE QLOCAL(OURS)\nALTER QMGR DEADQ(OURS)" });
    const { status, output } = await configure(standIn);
    expect([status, output]).toEqual([
      0,
      expect.stringMatching(/left out .*dead-letters.mqsc: QM1 has .* OURS/),
    ]);
    expect((await standIn.run("DISPLAY QMGR DEADQ"))[0]!.answer).toContain("DEADQ(OURS)");
  });

  it("a command that fails: status 1 and what runmqsc said", async () => {
    const standIn = await open({ mqsc: [] });
    const { status, output } = await configure(
      standIn,
      "--mqsc",
      file("DEFINE QLOCAL(X) STRMQOS(ATLEAST_ONCE)\n"),
    );
    expect([status, output]).toEqual([1, expect.stringContaining('STRMQOS: "ATLEAST_ONCE" is not one of')]);
  });

  it("a setting that does not stick: status 1, and which", async () => {
    const standIn = await open({ mqsc: [] });
    // The later of two settings of one attribute is in force; that another queue has the earlier value does not hide it.
    const define = (queue: string) => `DEFINE QLOCAL(${queue}) REPLACE MAXDEPTH(7)`;
    const twice = [define("X.1"), define("X.2"), define("X.3"), "ALTER QLOCAL(X.2) MAXDEPTH(8)", ""].join(
      "\n",
    );
    const { status, output } = await configure(standIn, "--mqsc", file(twice));
    expect([status, output.match(/not in force.*/g)]).toEqual([1, [`not in force: ${define("X.2")}`]]);
  });

  it("a queue manager that lets go of commands: status 1, and that they are not in force", async () => {
    const standIn = await open({ mqsc: [] });
    const lost = [
      "ALTER QMGR PERFMEV(ENABLED)",
      "ALTER QLOCAL(ORDERS.IN)",
      "SET CHLAUTH(MILLRACE.BRIDGE) TYPE(USERMAP)",
      "SET AUTHREC PROFILE(PROMO.FEED) ",
    ];
    const { status, output } = await configure({ ...standIn, env: { ...standIn.env, LOSE: lost.join("|") } });
    expect(status).toBe(1);
    const missing = output.match(/not in force: .*/g) ?? [];
    expect(missing).toEqual(lost.map((command) => expect.stringContaining(`not in force: ${command}`)));
  });

  it("commands that no DISPLAY here shows are run and said not to be verified", async () => {
    const standIn = await open({ mqsc: [] });
    const more = file("DEFINE QLOCAL(X) REPLACE\nREFRESH SECURITY(*)\n");
    const { status, output } = await configure(standIn, "--mqsc", more);
    expect([status, output]).toEqual([0, expect.stringContaining("not verified: REFRESH SECURITY(*)")]);
    expect(output).toContain("verified QM1: 1 commands");
  });

  it("no such queue manager, or no runmqsc: status 1 and what to do", async () => {
    const standIn = await open({ mqsc: [] });
    const elsewhere = await configure(standIn, "--qmgr", "QM2");
    expect([elsewhere.status, elsewhere.output]).toEqual([1, expect.stringContaining("AMQ8146E")]);
    const nowhere = await configure(undefined);
    expect([nowhere.status, nowhere.output]).toEqual([1, expect.stringContaining("Cannot find runmqsc")]);
  });

  it.each([["--frobnicate"], ["--qmgr"], ["--mqsc", "/no/such/file.mqsc"]])(
    "bad usage: %s is status 2 with the usage",
    async (...args) => {
      const { status, output } = await configure(undefined, ...args);
      expect([status, output]).toEqual([2, expect.stringContaining("Usage: infra/mq/configure.sh")]);
    },
  );

  it("--help: status 0", async () => {
    expect(await configure(undefined, "--help")).toMatchObject({ status: 0 });
  });
});
