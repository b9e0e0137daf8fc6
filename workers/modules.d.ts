/** What is not a module of this folder, and has no types of its own here. */

declare module "*/dist/pages.js" {
  /** Written by web/build.ts. */
  export const pages: ReadonlyMap<string, import("../functions/routes/pages.ts").Asset>;
}

declare module "node:zlib" {
  /** Of the flag `nodejs_zlib`: what functions/runtimes/zlib.ts needs of it. */
  export const constants: { readonly Z_SYNC_FLUSH: number };
  export function deflateRawSync(
    bytes: Uint8Array,
    options: { readonly level: number; readonly finishFlush: number; readonly chunkSize: number },
  ): Uint8Array;
}
