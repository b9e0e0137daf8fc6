/**
 * `redis://user:secret@host` becomes `redis://***@host`: the user name is masked too, as NATS keeps tokens there. So is what a parameter called
 * as a secret says: `https://host/?api_key=***`.
 */
export function maskUrls(text: string): string {
  // Those of MongoDB are often written with a password that is not percent-encoded, although that is refused.
  return text
    .replace(/\b(mongodb(?:\+srv)?:\/\/)[^\s"\\]*@/gi, "$1***@")
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"\\]*@/gi, "$1***@")
    .replace(
      /([?&][^=&\s]{0,40}(?:passw|secret|token|ticket|key|signature|credential)[^=&\s]{0,40}=)[^&#\s"\\]+/gi,
      "$1***",
    );
}
