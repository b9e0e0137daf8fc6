/** Clients of GraphQL: plain HTTP, and the client of graphql-sse with what it was sent. */
import { createClient, type RequestParams } from "graphql-sse";
import { waitFor } from "../support/wait.ts";

export interface Result {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
}

/** Asks over HTTP; resolves with the body of the answer. */
export async function run(
  { url, token, company }: { url: string; token: string; company?: string },
  query: string,
  variables: Record<string, unknown> = {},
): Promise<Result> {
  const scope = company === undefined ? "" : `?companyId=${company}`;
  const response = await fetch(`${url}/api/graphql${scope}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as Result;
}

/** Subscribes with the real client; `items`: the root fields of what came. */
export function subscribe<Item = Record<string, unknown>>(
  { url, token }: { url: string; token: string },
  query: string,
  variables: Record<string, unknown> = {},
  path = "/api/graphql/stream",
) {
  const client = createClient({
    url: url + path,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  const state = {
    items: [] as Item[],
    errors: [] as { message: string; extensions?: Record<string, unknown> }[],
    failure: undefined as unknown,
    completed: false,
  };
  const params: RequestParams = { query, variables };
  const close = client.subscribe<Record<string, Item>>(params, {
    next({ data, errors }) {
      if (data) state.items.push(...Object.values(data));
      state.errors.push(...((errors ?? []) as unknown as typeof state.errors));
    },
    error(error) {
      state.failure = error;
    },
    complete() {
      state.completed = true;
    },
  });
  return Object.assign(state, {
    close() {
      close();
      client.dispose();
    },
    /** Until so many items have come. */
    until: (what: string, isSo: () => boolean) => waitFor(`${what} (${JSON.stringify(state.errors)})`, isSo),
  });
}
