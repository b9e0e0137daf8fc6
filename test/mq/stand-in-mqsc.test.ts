/** How the stand-in reads MQSC: what IBM's runmqsc would refuse must not pass the tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createManager } from "../support/mq/manager.ts";
import { parseWords, splitCommands } from "../support/mq/mqsc-text.ts";

const manager = () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-mqsc-"));
  const opened = createManager({ name: "QM1", folder });
  onTestFinished(() => {
    opened.close();
    rmSync(folder, { recursive: true });
  });
  return opened;
};
const texts = (file: string) => splitCommands(file).map(({ text }) => text);

describe("splitCommands", () => {
  it("a line is a command; comments, blank lines and what ends a line are not in it", () => {
    expect(splitCommands("* a comment\n\nONE(1)  \r\n  TWO(2);\n")).toEqual([
      { line: 3, text: "ONE(1)" },
      { line: 4, text: "TWO(2)" },
    ]);
  });

  it("+ goes on at the first word of the next line, - at its first column", () => {
    expect(texts("ONE(1) +\n   TWO(2)")).toEqual(["ONE(1) TWO(2)"]);
    expect(texts("NAME('ab-\ncd')")).toEqual(["NAME('abcd')"]);
    expect(texts("NAME('ab+\n  cd')\nTHREE")).toEqual(["NAME('abcd')", "THREE"]);
  });

  it.each([
    ["a comment", "ONE +\n* comment\nTWO"],
    ["a blank line", "ONE +\n\nTWO"],
    ["the end of the file", "ONE +\n"],
  ])("a command that goes on is not cut by %s", (_, file) => {
    expect(() => splitCommands(file)).toThrow(/goes on/);
  });
});

describe("parseWords", () => {
  it("keywords and bare values become upper case, quoted values stay, '' is a quote", () => {
    expect(parseWords("define qlocal(my.queue) replace descr('It''s  mine ') boqname(' ') like()")).toEqual([
      { key: "DEFINE", values: undefined },
      { key: "QLOCAL", values: ["MY.QUEUE"] },
      { key: "REPLACE", values: undefined },
      { key: "DESCR", values: ["It's  mine"] },
      { key: "BOQNAME", values: [] },
      { key: "LIKE", values: [] },
    ]);
    expect(parseWords("AUTHADD( get , inq )")).toEqual([{ key: "AUTHADD", values: ["GET", "INQ"] }]);
  });

  it.each(["DEFINE QLOCAL(X", "DESCR('open)", "QLOCAL(A B)", "DEFINE 'QLOCAL'", "(X)", "MAXDEPTH(7))"])(
    "%s is refused",
    (text) => {
      expect(() => parseWords(text)).toThrow(/Syntax error/);
    },
  );
});

describe("run", () => {
  const define = "DEFINE QLOCAL(X)";

  it.each([
    ["an unknown keyword", `${define} MAXDEEP(7)`, 'Keyword "MAXDEEP" is not valid here'],
    ["a keyword said twice", `${define} MAXDEPTH(7) MAXDEPTH(8)`, "given twice"],
    ["a value that is no number", `${define} MAXDEPTH(many)`, 'MAXDEPTH: "MANY" is not a number'],
    ["a number out of range", `${define} QDEPTHHI(101)`, "not a number from 0 to 100"],
    ["an unknown choice", `${define} STRMQOS(ATLEAST_ONCE)`, "not one of BESTEF, MUSTDUP"],
    ["two values for one", `${define} BOQNAME(A,B)`, "one value is expected"],
    ["a bad name", "DEFINE QLOCAL('NO SPACES')", "is no name"],
    ["no name", "DEFINE QLOCAL", "a name is expected"],
    ["a name that is too long", `DEFINE QLOCAL(${"A".repeat(49)})`, "is no name of at most 48"],
    ["a keyword where a flag is expected", `${define} SHARE(YES)`, 'Keyword "SHARE" is not valid here'],
    ["a channel without its type", "DEFINE CHANNEL(C) TRPTYPE(TCP)", "CHLTYPE is expected"],
    ["another type of channel", "DEFINE CHANNEL(C) CHLTYPE(RCVR)", "not one of SVRCONN"],
    ["an unknown object", "DEFINE QREMOTE(X)", "is not known to the stand-in"],
    ["an unknown authority", "SET AUTHREC OBJTYPE(QMGR) PRINCIPAL('a') AUTHADD(EVERYTHING)", "not one of"],
    ["a right for nobody", "SET AUTHREC OBJTYPE(QMGR) AUTHADD(CONNECT)", "PRINCIPAL or GROUP"],
    ["a right on a queue without one", "SET AUTHREC OBJTYPE(QUEUE) GROUP('a') AUTHADD(GET)", "PROFILE"],
    [
      "a right on an unknown queue",
      "SET AUTHREC PROFILE(NO) OBJTYPE(QUEUE) GROUP('a') AUTHADD(GET)",
      "not found",
    ],
    [
      "a map without its user",
      "SET CHLAUTH('C') TYPE(USERMAP) CLNTUSER('a') USERSRC(MAP)",
      "MCAUSER is expected",
    ],
    ["a map without whom", "SET CHLAUTH('C') TYPE(USERMAP) USERSRC(NOACCESS)", "CLNTUSER is expected"],
    ["an alteration of nothing", "ALTER QLOCAL(NO) MAXDEPTH(1)", "AMQ8147E"],
    ["a display of nothing", "DISPLAY QLOCAL(NO)", "AMQ8147E"],
  ])("%s is refused, and nothing changed", (_, command, reason) => {
    const { run, definitions } = manager();
    expect(run(command)).toMatchObject([{ isOk: false, answer: expect.stringContaining(reason) }]);
    expect([definitions.queues.size, definitions.channels.size, definitions.channelRules.length]).toEqual([
      0, 0, 0,
    ]);
  });

  it("REPLACE: takes the defaults for what is not said; without it an object that is there is refused", () => {
    const { run, definitions } = manager();
    run(`${define} MAXDEPTH(7) BOTHRESH(3)`);
    expect(run(`${define} MAXDEPTH(8)`)).toMatchObject([
      { isOk: false, answer: expect.stringMatching(/^AMQ8150E/) },
    ]);
    expect(run(`${define} NOREPLACE`)[0]!.isOk).toBe(false);
    expect(definitions.queues.get("X")).toMatchObject({ MAXDEPTH: "7", BOTHRESH: "3" });
    expect(run(`${define} REPLACE MAXDEPTH(9)`)[0]!.isOk).toBe(true);
    expect(definitions.queues.get("X")).toMatchObject({ MAXDEPTH: "9", BOTHRESH: "0" });
  });

  it("ALTER: leaves what is not said", () => {
    const { run, definitions } = manager();
    run(`${define} MAXDEPTH(7) BOTHRESH(3)\nALTER QLOCAL(X) MAXDEPTH(8) NOSHARE`);
    expect(definitions.queues.get("X")).toMatchObject({ MAXDEPTH: "8", BOTHRESH: "3", SHARE: "NOSHARE" });
  });

  it("a command that fails does not keep the others from being run", () => {
    const { run, definitions } = manager();
    const results = run("DEFINE QLOCAL(A)\nDEFINE QLOCAL(B) NONSENSE\nDEFINE QLOCAL(C)");
    expect(results.map(({ isOk, line }) => [isOk, line])).toEqual([
      [true, 1],
      [false, 2],
      [true, 3],
    ]);
    expect([...definitions.queues.keys()]).toEqual(["A", "C"]);
  });
});
