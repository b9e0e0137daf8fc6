/**
 * Holds the arrows: core <- ports <- adapters, routes, pump <- app, registry <- entries. What a file may import is decided by its
 * folder alone; types count as much as values. And `functions/` outside entries and runtimes runs on every runtime: no Node
 * module, no Node global.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { transformSync } from "esbuild";
import { describe, expect, it } from "vitest";

interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** A zone is a folder or a file; a file belongs to the longest one its path begins with. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "functions/core": ["functions/core"],
  "functions/ports": ["functions/core", "functions/ports"],
  "functions/adapters": ["functions/core", "functions/ports"],
  "functions/routes": ["functions/core", "functions/ports", "functions/graphql", "functions/routes"],
  // Schema, resolvers and what they read: of the log and the live side alone.
  "functions/graphql": ["functions/core", "functions/ports", "functions/graphql"],
  // The operator's services as they are: pure but for the log it is given.
  "functions/services": ["functions/core", "functions/ports", "functions/watch", "functions/services"],
  // One client's sink, and when it has to go: what every view that sends snapshots needs.
  "functions/watch": ["functions/core", "functions/ports", "functions/watch"],
  // The ring and what moves it: pure but for the log it is given.
  "functions/hub": ["functions/core", "functions/ports", "functions/hub"],
  // Views over the log's tallies: as the hub, pure but for the log they are given.
  "functions/counters": ["functions/core", "functions/ports", "functions/watch", "functions/counters"],
  // Who may read what: pure but for the stores it is given.
  "functions/access": ["functions/core", "functions/ports", "functions/access"],
  // Answers that stay open: what holds connections, whatever the runtime.
  "functions/live": [
    ...["functions/core", "functions/ports", "functions/hub", "functions/counters", "functions/services"],
    "functions/live",
  ],
  // Composes front and live side, for runtimes that have both in one process.
  "functions/service.ts": [
    ...["functions/core", "functions/ports", "functions/access", "functions/live", "functions/routes"],
    "functions/app.ts",
  ],
  // Composes the parts for one runtime: entries and the CLI both start it, and nothing may import an entry.
  "functions/runtimes": [
    ...["functions/core", "functions/ports", "functions/adapters", "functions/routes"],
    ...["functions/service.ts", "functions/app.ts", "functions/runtimes", "functions/runtimes/zlib.ts"],
    ...["dist/pages.js", "dist/assets.js"],
  ],
  "functions/app.ts": ["functions/core", "functions/ports", "functions/adapters", "functions/routes"],
  "functions/entries": [
    ...["functions/core", "functions/ports", "functions/adapters", "functions/routes", "functions/runtimes"],
    "functions/app.ts",
  ],
  "bridge/sources": ["functions/core", "functions/ports", "bridge"],
  "bridge/registry.ts": ["functions/core", "functions/ports", "bridge", "bridge/sources"],
  bridge: [
    ...["functions/core", "functions/ports", "functions/adapters", "functions/runtimes"],
    ...["bridge", "bridge/registry.ts"],
  ],
  // Composes front and live side where they are apart.
  workers: [
    ...["functions/core", "functions/ports", "functions/adapters", "functions/access", "functions/live"],
    ...[
      "functions/routes",
      "functions/app.ts",
      "functions/service.ts",
      "functions/runtimes/zlib.ts",
      "workers",
    ],
    "dist/pages.js",
  ],
  // What every runtime has under the same name, although it is Node's.
  "functions/runtimes/zlib.ts": ["functions/core"],
  // Written by web/build.ts.
  "dist/pages.js": [],
  "dist/assets.js": [],
  bin: [
    ...["functions/core", "functions/ports", "functions/adapters", "functions/routes", "functions/runtimes"],
    ...["functions/app.ts", "bridge", "bridge/registry.ts", "web/build.ts", "bin"],
  ],
  // Runs on Node and hands its bundles to a route.
  "web/build.ts": ["functions/core", "functions/routes", "web"],
  // What other sites bundle: nothing of ours comes along.
  "web/client": ["web/client"],
  web: ["functions/core", "web", "web/client"],
};
const ZONES = Object.keys(MAY_IMPORT).sort((a, b) => b.length - a.length);
/** Nothing but tests may import these, and no test an entry. */
const isEntry = (path: string) => path.startsWith("functions/entries/");
/** One file, one technology: what two of them share belongs to core or to the folder above. */
const STRANGERS = ["functions/adapters", "bridge/sources"];
/** Packages that run on every runtime. */
const NEUTRAL_PACKAGES = [
  ...["hono", "zod", "jose", "@upstash/redis", "yaml", "graphql", "graphql-yoga"],
  // Its types alone: who has sockets opens the client.
  "mongodb",
];
const NODE_GLOBALS = [
  ...[
    "Buffer",
    "process",
    "setImmediate",
    "clearImmediate",
    "global",
    "require",
    "module",
    "__dirname",
    "__filename",
  ],
  ...["Deno", "Bun"],
];

const zoneOf = (path: string) => ZONES.find((zone) => path === zone || path.startsWith(`${zone}/`));
const isNeutral = (path: string) => /^functions\/(?!entries\/|runtimes\/)/.test(path);

/** Every module a file names: static, side-effect, dynamic and type imports, re-exports. */
function importsOf(text: string): string[] {
  const statements =
    /^\s*(?:import|export)\s(?:[\w\s$*{},]*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["'`]([^"'`]+)["'`]/gm;
  return Array.from(text.matchAll(statements), ([, first, second]) => (first ?? second)!);
}

/** Node globals a file uses: esbuild renames what no scope of the file declares. */
function globalsOf(text: string): string[] {
  const names = NODE_GLOBALS.flatMap((name) => [name, `globalThis.${name}`]);
  const define = Object.fromEntries(names.map((name) => [name, `NODE_GLOBAL_${name.split(".").at(-1)}`]));
  const { code } = transformSync(text, { loader: "ts", define });
  return [...new Set(Array.from(code.matchAll(/\bNODE_GLOBAL_(\w+)/g), ([, name]) => name!))];
}

function problemsOf({ path, text }: Source): string[] {
  const problems: string[] = [];
  const zone = zoneOf(path);
  for (const specifier of importsOf(text)) {
    if (!specifier.startsWith(".")) {
      const name = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
      if (isNeutral(path) && !NEUTRAL_PACKAGES.includes(name)) {
        problems.push(`${path} imports "${specifier}", which does not run on every runtime`);
      }
      continue;
    }
    const target = join(dirname(path), specifier);
    const problem = (why: string) => problems.push(`${path} imports ${target}: ${why}`);
    if (isEntry(target)) problem("nothing imports an entry");
    else if (zone !== undefined) {
      const targetZone = zoneOf(target);
      if (targetZone === undefined || !MAY_IMPORT[zone]!.includes(targetZone)) {
        const sibling = zone === targetZone && STRANGERS.includes(zone);
        problem(sibling ? "it is a sibling" : `${zone} may not import ${targetZone ?? "that"}`);
      }
    }
  }
  if (isNeutral(path)) {
    for (const name of globalsOf(text)) problems.push(`${path} uses ${name}, which is not on every runtime`);
  }
  return problems;
}

describe("the source", () => {
  const paths = globSync("{functions,bridge,workers,bin,web,test}/**/*.ts", {
    exclude: ["**/node_modules/**"],
  });

  it("is found", () => {
    expect(paths.length).toBeGreaterThan(40);
    expect(paths).toEqual(
      expect.arrayContaining(["functions/core/event.ts", "test/core/architecture.test.ts"]),
    );
  });

  it("lies in a folder with rules, and keeps the arrows", () => {
    const production = paths.filter((path) => !path.startsWith("test/"));
    expect(production.filter((path) => zoneOf(path) === undefined)).toEqual([]);
    expect(paths.flatMap((path) => problemsOf({ path, text: readFileSync(path, "utf8") }))).toEqual([]);
  });
});

describe("problemsOf", () => {
  it.each([
    [
      "functions/core/a.ts",
      'import { x } from "../ports/b.ts";',
      "functions/core may not import functions/ports",
    ],
    [
      "functions/core/a.ts",
      'import type { x } from "../ports/b.ts";',
      "functions/core may not import functions/ports",
    ],
    [
      "functions/ports/a.ts",
      'export * from "../adapters/b.ts";',
      "functions/ports may not import functions/adapters",
    ],
    ["functions/adapters/a.ts", 'import { x } from "./b.ts";', "it is a sibling"],
    [
      "functions/adapters/a.ts",
      'const b = await import("../routes/b.ts");',
      "may not import functions/routes",
    ],
    ["functions/adapters/a.ts", 'import "../../bridge/run.ts";', "functions/adapters may not import bridge"],
    [
      "functions/routes/a.ts",
      'import {\n  x,\n  y,\n} from "../adapters/b.ts";',
      "may not import functions/adapters",
    ],
    [
      "functions/app.ts",
      'import { x } from "./runtimes/node/b.ts";',
      "functions/app.ts may not import functions/runtimes",
    ],
    [
      "functions/adapters/a.ts",
      'import { x } from "../runtimes/node/b.ts";',
      "may not import functions/runtimes",
    ],
    ["bridge/main.ts", 'import { x } from "./sources/nats-core.ts";', "bridge may not import bridge/sources"],
    ["bridge/sources/a.ts", 'import { x } from "./b.ts";', "it is a sibling"],
    ["bridge/pump.ts", 'import { x } from "../bin/b.ts";', "bridge may not import bin"],
    ["web/a.ts", 'import { x } from "../functions/routes/b.ts";', "web may not import functions/routes"],
    ["bin/a.ts", 'import { x } from "../functions/entries/node.ts";', "nothing imports an entry"],
    ["test/a.test.ts", 'import { x } from "../functions/entries/node.ts";', "nothing imports an entry"],
    ["functions/core/a.ts", 'import { x } from "../../test/b.ts";', "functions/core may not import that"],
    ["functions/core/a.ts", 'import { x } from "node:crypto";', 'imports "node:crypto"'],
    ["functions/adapters/a.ts", "export type X = import('redis').RedisClientType;", 'imports "redis"'],
    [
      "functions/routes/a.ts",
      'import { serve } from "@hono/node-server/serve-static";',
      'imports "@hono/node-server',
    ],
    ["functions/core/a.ts", "export const x = Buffer.from('a');", "uses Buffer"],
    ["functions/core/a.ts", "export const f = (y: number) => `$" + "{process.pid}`;", "uses process"],
    ["functions/core/a.ts", "globalThis.setImmediate(() => 5);", "uses setImmediate"],
  ])("of %s with %j says %s", (path, text, expected) => {
    expect(problemsOf({ path, text })).toEqual([expect.stringContaining(expected)]);
  });

  it.each([
    ["functions/adapters/a.ts", 'import { x } from "../core/b.ts";\nimport type { P } from "../ports/p.ts";'],
    [
      "functions/routes/a.ts",
      'import { Hono } from "hono";\nimport { z } from "zod";\nimport { x } from "./b.ts";',
    ],
    [
      "functions/runtimes/node/a.ts",
      'import "node:fs";\nimport { x } from "./b.ts";\nprocess.exit(Buffer.length);',
    ],
    [
      "functions/entries/node.ts",
      'import { createApp } from "../app.ts";\nimport { x } from "../adapters/b.ts";',
    ],
    ["bridge/registry.ts", 'import { x } from "./sources/a.ts";\nimport { y } from "./sources/b.ts";'],
    // Not the globals: a name of its own, a member, a comment, a text.
    ["functions/core/a.ts", "const process = (module: number) => module;\nexport const x = process(1);"],
    [
      "functions/core/a.ts",
      "// Buffer and process\nexport const x = { process: 1 }.process + `setImmediate`;",
    ],
    [
      "test/a.test.ts",
      'import { x } from "../functions/adapters/b.ts";\nimport "node:fs";\nBuffer.from("");',
    ],
  ])("of %s with %j says nothing", (path, text) => {
    expect(problemsOf({ path, text })).toEqual([]);
  });
});
