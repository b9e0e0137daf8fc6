/** An HTTP server of a test file's own, for answers that no Millrace gives when they are wanted. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll } from "vitest";

/** To be called once in a file: it listens during its tests. `url` is there from the first test on, without a slash at the end. */
export function useServer(answer: RequestListener): { readonly url: string } {
  const server = createServer(answer);
  let url = "";
  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return {
    get url() {
      return url;
    },
  };
}
