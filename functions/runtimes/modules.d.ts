declare module "*/dist/pages.js" {
  /** Written by web/build.ts. */
  export const pages: ReadonlyMap<string, import("../routes/pages.ts").Asset>;
}

declare module "*/dist/assets.js" {
  /** Written by web/build.ts. */
  export const pages: ReadonlyMap<string, import("../routes/pages.ts").Asset>;
}
