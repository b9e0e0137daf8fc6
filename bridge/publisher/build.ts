/**
 * Builds what the package exports as libraries into dist/, at `npm pack`: `millrace/publisher` and `millrace/services` for Node, since Node strips
 * no types under node_modules and a service may run on a Node that strips none; `millrace/client` and `millrace/react` for browsers. Packages
 * stay imports. In this repository the source is used as it is.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";

const root = join(import.meta.dirname, "../..");
const dist = join(root, "dist");

interface Target {
  /** What is imported, by the name of its bundle. */
  readonly libraries: Readonly<Record<string, string>>;
  readonly bundle: BuildOptions;
  /** Of the compiler that writes the types. */
  readonly types: readonly string[];
}

const TARGETS: readonly Target[] = [
  {
    libraries: {
      publisher: "bridge/publisher/publisher.ts",
      services: "bridge/service-monitor/service-monitor.ts",
    },
    bundle: {
      platform: "node",
      target: "node20",
      // Came with Node 22.
      define: { "Promise.withResolvers": "withResolversOfMillrace" },
      banner: {
        js: `const withResolversOfMillrace = () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};`,
      },
    },
    types: ["--lib", "esnext", "--types", "node"],
  },
  {
    libraries: { client: "web/client/index.ts", react: "web/client/react.ts" },
    bundle: {
      platform: "browser",
      target: "es2022",
      minify: true,
      plugins: [
        {
          // One copy of the client for both: the hook imports the bundle beside it.
          name: "client",
          setup({ onResolve }) {
            onResolve({ filter: /^\.\/index\.ts$/ }, ({ importer }) =>
              importer.endsWith("react.ts") ? { path: "./client.js", external: true } : undefined,
            );
          },
        },
      ],
    },
    types: ["--lib", "esnext,dom,dom.iterable", "--types", "react"],
  },
];

const STRICT = ["--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2024"];
const EMIT = ["--declaration", "--emitDeclarationOnly", "--allowImportingTsExtensions", "--skipLibCheck"];

// Not the pages beside it, which a server may be about to read.
rmSync(join(dist, "types"), { recursive: true, force: true });
for (const { libraries, bundle, types } of TARGETS) {
  await build({
    absWorkingDir: root,
    entryPoints: { ...libraries },
    outdir: dist,
    bundle: true,
    packages: "external",
    format: "esm",
    ...bundle,
  });
  const sources = Object.values(libraries).map((path) => join(root, path));
  const to = ["--rootDir", root, "--outDir", join(dist, "types")];
  execFileSync(
    join(root, "node_modules/.bin/tsc"),
    [...sources, "--ignoreConfig", ...EMIT, ...STRICT, ...types, ...to],
    { stdio: "inherit" },
  );
}
