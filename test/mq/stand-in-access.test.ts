/** Who the stand-in lets in, and what it says to who is not. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectProgram, startClient } from "../support/mq/client.ts";
import { OO, OT, PMO } from "../support/mq/constants.ts";
import { useStandIn } from "../support/mq/fixture.ts";
import { BRIDGE, PRODUCER } from "../support/mq/stand-in.ts";
import { freePort } from "../support/process.ts";

const TLS_AND_OPEN = `
DEFINE CHANNEL(TLS.ONLY) CHLTYPE(SVRCONN) SSLCIPH(ANY_TLS12_OR_HIGHER) MCAUSER('mrbridge')
DEFINE CHANNEL(NO.PASSWORD) CHLTYPE(SVRCONN)
DEFINE CHANNEL(BLOCKED) CHLTYPE(SVRCONN)
SET CHLAUTH('BLOCK*') TYPE(BLOCKUSER) USERLIST('nobody','mrbridge')
`;

describe("stand-in queue manager: access", () => {
  const fixture = useStandIn({ commands: TLS_AND_OPEN });
  const connect = async (options: object = {}) => {
    const address = `127.0.0.1(${fixture.standIn.port})`;
    const connection = await fixture.client.connect({ address, queueManager: "QM1", ...BRIDGE, ...options });
    onTestFinished(() => fixture.client.disconnect(connection).catch(() => {}));
    return connection;
  };
  const refusal = (options: object) => connect(options).catch(({ reason }) => reason);
  const open = (connection: number, queue: string, options: number, type: number = OT.Q) =>
    fixture.client.open(connection, queue, options, type).then(
      () => 0,
      ({ reason }) => reason,
    );

  it("connect: nobody listens, 2538", async () => {
    expect(await refusal({ address: `127.0.0.1(${await freePort()})` })).toBe(2538);
    expect(await refusal({ address: "no-such-host.invalid(1414)" })).toBe(2538);
  });

  it("connect: the second address where the first does not answer", async () => {
    const both = `127.0.0.1(${await freePort()}),127.0.0.1(${fixture.standIn.port})`;
    expect(await connect({ address: both })).toEqual(expect.any(Number));
  });

  it("connect: another queue manager's name 2058, no name is any", async () => {
    expect(await refusal({ queueManager: "QM2" })).toBe(2058);
    expect(await connect({ queueManager: "" })).toEqual(expect.any(Number));
  });

  it("connect: a channel that is not there, 2540", async () => {
    expect(await refusal({ channel: "NO.SUCH.CHANNEL" })).toBe(2540);
  });

  it("connect: wrong password, none, the other channel's user, an unknown one: 2035", async () => {
    const { user, password } = PRODUCER;
    const attempts = [
      { password: "wrong" },
      { password: "" },
      { user: undefined },
      { user, password },
      { user: "app", password: "x" },
      { user: "mqm", password: "x" },
      { channel: "BLOCKED" },
      { channel: "NO.PASSWORD", user: "app", password: "" },
    ];
    expect(await Promise.all(attempts.map(refusal))).toEqual(attempts.map(() => 2035));
  });

  it("connect: a channel without CHCKCLNT(REQUIRED) takes a user without a password, not with a wrong one", async () => {
    expect(await connect({ channel: "NO.PASSWORD", password: "" })).toEqual(expect.any(Number));
    expect(await refusal({ channel: "NO.PASSWORD", password: "wrong" })).toBe(2035);
  });

  it("connect: a channel with TLS needs its cipher (2393) and a key repository (2381)", async () => {
    const tls = { channel: "TLS.ONLY", cipher: "ANY_TLS12_OR_HIGHER" };
    expect(await refusal({ channel: "TLS.ONLY" })).toBe(2393);
    expect(await refusal({ ...tls, cipher: "ANY_TLS13" })).toBe(2393);
    expect(await refusal(tls)).toBe(2381);
    expect(await connect({ ...tls, keyRepository: "/keys/bridge.p12" })).toEqual(expect.any(Number));
  });

  it("connect: by the channel table of a CCDT; 2058 without an entry, 2059 where nobody listens, 2600 for one that cannot be read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-ccdt-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "ccdt.json");
    const channel = {
      name: BRIDGE.channel,
      type: "clientConnection",
      clientConnection: { connection: [{ host: "127.0.0.1", port: 1 }], queueManager: "QM1" },
    };
    writeFileSync(file, JSON.stringify({ channel: [channel] }));
    const ccdt = pathToFileURL(file).href;
    expect(await connect({ ccdt })).toEqual(expect.any(Number));
    expect(await refusal({ ccdt, queueManager: "QM9" })).toBe(2058);
    const nowhere = { ...fixture.standIn.env, MILLRACE_STAND_IN: `127.0.0.1(${await freePort()})` };
    const astray = startClient({ ...fixture.standIn, env: nowhere });
    onTestFinished(() => astray.kill());
    const lost = astray.connect({ address: "", queueManager: "QM1", ...BRIDGE, ccdt });
    await expect(lost).rejects.toMatchObject({ reason: 2059 });
    writeFileSync(file, "no json");
    expect(await refusal({ ccdt })).toBe(2600);
  });

  it("open: an unknown queue 2085, an unknown queue manager 2086, nothing asked for 2046", async () => {
    const connection = await connect();
    expect(await open(connection, "NO.SUCH.QUEUE", OO.INPUT_SHARED)).toBe(2085);
    expect(await open(connection, "AUDIT.TXN", OO.FAIL_IF_QUIESCING)).toBe(2046);
    expect(await open(connection, "", OO.INQUIRE, OT.Q_MGR)).toBe(0);
  });

  it("open: what the user has no right to, 2035", async () => {
    const connection = await connect();
    expect(await open(connection, "APP.TXN.IN", OO.INPUT_SHARED)).toBe(2035);
    expect(await open(connection, "AUDIT.TXN", OO.OUTPUT)).toBe(2035);
    expect(await open(connection, "AUDIT.TXN", OO.INPUT_SHARED | OO.INQUIRE)).toBe(0);
  });

  it("open: context is a right on the queue and on the queue manager", async () => {
    const connection = await connect();
    const withContext = OO.OUTPUT | OO.SET_ALL_CONTEXT;
    expect(await open(connection, "AUDIT.TXN.BACKOUT", withContext)).toBe(0);
    await fixture.standIn.run("SET AUTHREC OBJTYPE(QMGR) PRINCIPAL('mrbridge') AUTHRMV(SETALL)");
    expect(await open(connection, "AUDIT.TXN.BACKOUT", withContext)).toBe(2035);
    await fixture.standIn.run("SET AUTHREC OBJTYPE(QMGR) PRINCIPAL('mrbridge') AUTHADD(SETALL)");
  });

  it("put: context is kept only from a handle opened for it, 2095", async () => {
    const connection = await connect();
    const [plain, context] = await Promise.all(
      [OO.OUTPUT, OO.OUTPUT | OO.SET_ALL_CONTEXT].map((options) =>
        fixture.client.open(connection, "AUDIT.TXN.BACKOUT", options, OT.Q),
      ),
    );
    const options = { options: PMO.SET_ALL_CONTEXT };
    const refused = fixture.client.put(connection, { object: plain! }, "x", options);
    await expect(refused).rejects.toMatchObject({ reason: 2095 });
    await fixture.client.put(connection, { object: context! }, "kept", options);
    await fixture.client.put(connection, { object: plain! }, "own", {});
    expect(await fixture.standIn.messages("AUDIT.TXN.BACKOUT")).toMatchObject([
      { body: "kept", user: "", applName: "" },
      { body: "own", user: "mrbridge", applName: "client" },
    ]);
  });

  it("open: exclusive input shuts others out, 2042", async () => {
    const queue = await fixture.define("DEFSOPT(EXCL)");
    const [one, two] = [await connect(), await connect()];
    const object = await fixture.client.open(one, queue, OO.INPUT_AS_Q_DEF, OT.Q);
    expect(await open(two, queue, OO.INPUT_SHARED)).toBe(0);
    expect(await open(two, queue, OO.INPUT_EXCLUSIVE)).toBe(2042);
    await fixture.client.close(object);
  });

  it("verbs: a handle that is not there 2019, one opened for something else 2037, 2038, 2039", async () => {
    const connection = await connect();
    const inquiring = await fixture.client.open(connection, "AUDIT.TXN", OO.INQUIRE, OT.Q);
    const reading = await fixture.client.open(connection, "AUDIT.TXN", OO.INPUT_SHARED, OT.Q);
    const get = (object: number) => fixture.client.get(connection, object, {});
    await expect(get(inquiring)).rejects.toMatchObject({ reason: 2037 });
    await expect(fixture.client.inquire(reading, [3])).rejects.toMatchObject({ reason: 2038 });
    const put = fixture.client.put(connection, { object: reading }, "x", {});
    await expect(put).rejects.toMatchObject({ reason: 2039 });
    await fixture.client.close(reading);
    await expect(get(reading)).rejects.toMatchObject({ reason: 2019 });
  });

  it("connections: says who is there and what it holds", async () => {
    const program = await connectProgram(fixture.client, fixture.standIn, PRODUCER);
    await program.putInUnit("ORDERS.IN", "x");
    const held = (await fixture.standIn.connections()).find(({ puts }) => puts > 0);
    expect(held).toEqual({ ...PRODUCER, password: undefined, applName: "client", puts: 2, gets: 0 });
    await program.back();
    await program.disconnect();
  });
});
