/**
 * Peer: nchan, the pub/sub module of nginx: a channel a company, its messages kept in shared memory, ids of its own (time and
 * sequence). A published message's event type comes in the header `X-EventSource-Event`.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, start } from "../process.ts";
import { accepts, missing } from "../servers.ts";
import { waitFor } from "../wait.ts";

const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** Undefined when nginx can load the module; else why not and the command that provides it. */
export function missingNchan(): string | undefined {
  if (existsSync(MODULE)) return missing("nginx");
  return "nginx has no nchan module: apt-get install nginx libnginx-mod-nchan";
}

/** nginx with nchan on a free port. `keepEvents` messages a channel are kept for replay. */
export async function startNchan(keepEvents: number) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "millrace-nchan-"));
  const conf = join(folder, "nginx.conf");
  writeFileSync(conf, nchanConfig(port, folder, keepEvents));
  const nginx = start("nginx", ["-e", "stderr", "-c", conf]);
  await waitFor("nginx with nchan", async () => {
    if (nginx.child.exitCode !== null) throw new Error(nginx.output());
    return accepts(port);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: nginx.pid,
    async stop() {
      await nginx.stop(); // Not SIGKILL: the worker would outlive its master.
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A subscriber starts with what comes next, as the other peers do, unless it brings a cursor. */
function nchanConfig(port: number, folder: string, keepEvents: number): string {
  return `
load_module ${MODULE};
daemon off; worker_processes 1; worker_rlimit_nofile 40000; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  nchan_shared_memory_size 512m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 1000000;
    location = /publish {
      nchan_publisher http;
      nchan_channel_id $arg_companyId;
      nchan_message_buffer_length ${keepEvents};
      nchan_message_timeout 1h;
      client_max_body_size 2m;
      client_body_buffer_size 2m;
    }
    location = /sse {
      nchan_subscriber eventsource;
      nchan_channel_id $arg_companyId;
      nchan_subscriber_first_message newest;
      nchan_subscriber_last_message_id $http_last_event_id $arg_lastEventId;
      nchan_eventsource_ping_interval 15;
      nchan_subscriber_timeout 0;
    }
  }
}
`;
}
