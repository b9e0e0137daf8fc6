/**
 * Builds what the package exports as `millrace/publisher` and `millrace/services` into dist/, at `npm pack`: Node strips no types under
 * node_modules, and a service may run on a Node that strips none. Packages stay imports. In this repository the source is used as it is.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");
const dist = join(root, "dist");
/** What is imported, by the name of its bundle. */
const LIBRARIES = {
  publisher: "bridge/publisher/publisher.ts",
  services: "bridge/service-monitor/service-monitor.ts",
};
// Not the pages beside it, which a server may be about to read.
rmSync(join(dist, "types"), { recursive: true, force: true });

await build({
  absWorkingDir: root,
  entryPoints: LIBRARIES,
  outdir: dist,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
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
});

const options = [
  ...[
    "--ignoreConfig",
    "--declaration",
    "--emitDeclarationOnly",
    "--allowImportingTsExtensions",
    "--skipLibCheck",
  ],
  ...[
    "--strict",
    "--exactOptionalPropertyTypes",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--lib",
    "esnext",
  ],
  ...["--types", "node", "--rootDir", root, "--outDir", join(dist, "types")],
];
const sources = Object.values(LIBRARIES).map((path) => join(root, path));
execFileSync(join(root, "node_modules/.bin/tsc"), [...sources, ...options], { stdio: "inherit" });
