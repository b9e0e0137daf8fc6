/** `redis://user:secret@host` becomes `redis://***@host`: the user name is masked too, as NATS keeps tokens there. */
export function maskUrls(text: string): string {
  // Those of MongoDB are often written with a password that is not percent-encoded, although that is refused.
  return text
    .replace(/\b(mongodb(?:\+srv)?:\/\/)[^\s"\\]*@/gi, "$1***@")
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"\\]*@/gi, "$1***@");
}
