import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

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
    // Real servers and a native MQ client later: processes, not threads. Two cores are what a build machine has.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
  },
});
