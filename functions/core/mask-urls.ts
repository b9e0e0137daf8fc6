/** `redis://user:secret@host` becomes `redis://***@host`: the user name is masked too, as NATS keeps tokens there. */
export function maskUrls(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"\\]*@/gi, "$1***@");
}
