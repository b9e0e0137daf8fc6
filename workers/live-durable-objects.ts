/** Live on Durable Objects: each company has one, and another for every SHARD_CONNECTIONS of its connections. */
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { textMessage } from "../functions/core/text-message.ts";
import type { Refusal } from "../functions/ports/hub.ts";
import { type Live, type LiveRequest, scopeOf } from "../functions/ports/live.ts";
import type { CompanyHub } from "./company-hub.ts";
import { followAnswer } from "./follow-answer.ts";
import {
  type ClientRequest,
  encodeHubRequest,
  type HubRequest,
  hubName,
  readHubResponse,
  SHARD_CONNECTIONS,
} from "./hub-request.ts";
import type { Rooms } from "./rooms.ts";

export interface DurableObjectsLiveOptions {
  readonly hubs: DurableObjectNamespace<CompanyHub>;
  /** Connections of one company, over all of its Durable Objects. */
  readonly maxConnectionsPerCompany: number;
  readonly rooms: Rooms;
  /** Connections of one Durable Object, at most SHARD_CONNECTIONS, which is the default. */
  readonly shardConnections?: number;
}

type Headers = Readonly<Record<string, string>>;

/** For the requests of a Worker. It has no connections of its own: the Durable Objects report theirs to the registry. */
export function createDurableObjectsLive(options: DurableObjectsLiveOptions): Live {
  const { hubs, maxConnectionsPerCompany, rooms, shardConnections = SHARD_CONNECTIONS } = options;

  const ask = async (name: string, asked: HubRequest, client?: ClientRequest): Promise<Response> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await hubs.getByName(name).fetch(encodeHubRequest(asked, client));
      } catch (error) {
        // It was moved or restarted, and another stub finds the new one; an overloaded one is not to be asked again.
        const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
        if (attempt === 0 && retryable && !overloaded) continue;
        throw new MillraceError("unavailable", `Cannot reach the hub of a company: ${describeError(error)}`, {
          cause: error,
        });
      }
    }
  };

  /** The answer of the first Durable Object of its company that has room. */
  const open = async (
    wanted: LiveRequest,
    headers: Headers,
    { client, isFollowed = false }: { readonly client?: ClientRequest; readonly isFollowed?: boolean },
  ): Promise<Response | Refusal> => {
    const company = scopeOf(wanted);
    const most = wanted.maxConnections ?? maxConnectionsPerCompany;
    // Views over all companies are few, and are one Durable Object's.
    const shards = company === undefined ? 1 : Math.max(1, Math.ceil(most / shardConnections));
    const first = Math.min(rooms.first(company), shards - 1);
    for (let at = 0; at < shards; at++) {
      const shard = (first + at) % shards;
      const room = Math.min(shardConnections, most - shard * shardConnections);
      const asked = { ...wanted, maxConnections: room };
      const opening = { kind: "open", wanted: asked, headers, isFollowed } as const;
      const response = await ask(hubName(company, shard), opening, client);
      const answer = readHubResponse(response);
      if (answer !== "busy") {
        rooms.remember(company, shard);
        return answer;
      }
    }
    rooms.forget(company);
    return "busy";
  };

  return {
    open: ({ raw }, wanted, headers) => open(wanted, headers, { client: raw as ClientRequest }),
    async follow(wanted, signal) {
      // No client's headers: what comes is read here, so it is not to be compressed.
      const answer = await open(
        { ...wanted, transport: "sse", format: "cloudevents" },
        {},
        { isFollowed: true },
      );
      return typeof answer === "string" ? answer : followAnswer(answer, signal);
    },
    async poll(scope) {
      const answer = readHubResponse(await ask(hubName(scope, 0), { kind: "poll" }));
      if (typeof answer === "string")
        throw new MillraceError("unavailable", "Cannot count events: the hub is busy");
      return textMessage(await answer.text());
    },
    stats: () => ({ connectionsByCompany: {}, isDraining: false }),
  };
}
