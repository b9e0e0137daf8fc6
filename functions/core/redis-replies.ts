/** What an error reply of Redis means for who sent the command, however the command was sent. */

/**
 * Replies of a server that cannot do it now: reading its data, without its primary, in a fail-over, held by a script, out of memory or
 * disk (Redis, src/server.c, shared error replies). Redis 6 wraps an error from inside a script in a text of its own.
 */
export const WILL_PASS =
  /^(?:ERR Error running script.*-)?(?:LOADING|BUSY|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM)\b/;
