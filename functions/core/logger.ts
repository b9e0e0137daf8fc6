/** Where the parts say what happened: one line, with fields. pino has this shape; nothing secret goes in. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
