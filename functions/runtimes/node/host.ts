/** HOST as it is listened on, and as others are told of it. */

/** What `listen` takes: an IPv6 address without its brackets. */
export function listenHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

/** `host:port` to connect to from this machine: the loopback address where every address is listened on. */
export function authority(host: string, port: number): string {
  const bare = listenHost(host);
  if (bare === "0.0.0.0") return `127.0.0.1:${port}`;
  if (bare === "::") return `[::1]:${port}`;
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}
