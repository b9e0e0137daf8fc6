/** What `millrace doctor` asks of a framed-TCP source: a connection. */
import { connectProducer } from "../broker/client.ts";
import type { FramedTcpConfig } from "../config/framed-tcp.ts";

/**
 * Resolves with one line of what was found.
 * @throws MillraceError naming the broker and what is wrong.
 */
export async function probeFramedTcp({ address }: Pick<FramedTcpConfig, "address">): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  // As a producer, which takes nothing from anyone.
  const client = await connectProducer({ host, port: Number(address.slice(colon + 1)) });
  await client.close();
  return "answers";
}
