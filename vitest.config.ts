import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { COMPILE_CACHE } from "./test/support/compile-cache.ts";
import LongestFirst from "./test/support/longest-first.ts";

export default defineConfig({
  // Vite would take its ES module and graphql-yoga its other one: two of them do not know each other's types ("from another module or realm").
  resolve: {
    alias: [
      {
        find: /^graphql$/,
        replacement: fileURLToPath(import.meta.resolve("graphql")),
      },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Real servers and a native MQ client: processes, not threads. Two cores are what a build machine has, and half of a test is waiting.
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    globalSetup: "./test/support/compile-cache.ts",
    env: COMPILE_CACHE,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
  },
});
