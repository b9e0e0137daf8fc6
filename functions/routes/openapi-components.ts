/** What the operations of the OpenAPI document share: refusals, and ways to say who asks. */
import * as z from "zod";
import { PHRASES } from "./answer.ts";
import type { Access, Problem } from "./operation.ts";

export type Json = Record<string, unknown>;

/** The body of every refusal. */
export const PROBLEM = z
  .object({
    error: z.string().meta({ description: "The phrase of the status" }),
    message: z.string().meta({ description: "What was wrong, and what is expected" }),
  })
  .meta({ description: "Why there is no other answer" });

const RETRY = { "Retry-After": "Seconds after which to ask again" };

/** What each says, and an example of it. */
const PROBLEMS: Readonly<
  Record<Problem, { description: string; message: string; headers?: Readonly<Record<string, string>> }>
> = {
  400: {
    description: "A parameter or body that cannot be one, or is given twice; a JWT in the URL",
    message: 'Cannot read limit "0": expected a whole number from 1 to 500',
  },
  401: {
    description: "No credential, or none that is good",
    message:
      "Cannot tell who is asking: no valid token, expected one in the header Authorization: Bearer, or a ticket for it",
    headers: { "WWW-Authenticate": "`Bearer`" },
  },
  403: {
    description: "Another company, another role; with AUTH_MODE=none, a host that is not this machine",
    message: "You can only stream events for your own company",
  },
  404: {
    description: "There is none",
    message: 'Cannot find the GPU "GPU-0": expected the uuid of one of /api/v1/gpus',
  },
  426: {
    description: "No WebSocket handshake (RFC 6455)",
    message: "Cannot GET /ws/updates: expected a WebSocket (RFC 6455)",
    headers: { Upgrade: "`websocket`" },
  },
  429: {
    description: "Too many for now",
    message: "Too many streams of this company are open, try again later",
    headers: RETRY,
  },
  503: {
    description:
      "Not now: a store that does not answer, streaming switched off, or an instance about to stop",
    message: "Something this answer needs cannot be reached at the moment, try again later",
    headers: RETRY,
  },
};

/** As a response of the document is called. */
export const nameOf = (status: Problem | 500) =>
  (status === 500 ? "Internal" : PHRASES[status]).replaceAll(" ", "");

export function problemResponses(): Json {
  const problems = Object.entries(PROBLEMS).map(([status, { description, message, headers }]) => {
    const error = PHRASES[Number(status) as Problem];
    const content = {
      "application/json": {
        schema: { $ref: "#/components/schemas/Problem" },
        example: { error, message },
      },
    };
    return [
      nameOf(Number(status) as Problem),
      { description, ...(headers === undefined ? {} : { headers: headersOf(headers) }), content },
    ];
  });
  const internal = {
    description: "Our fault; the log of the server says more",
    content: {
      "application/json": {
        schema: { type: "object", properties: { error: { const: "Internal" } }, required: ["error"] },
        example: { error: "Internal" },
      },
    },
  };
  return Object.fromEntries([...problems, [nameOf(500), internal]]);
}

export const SECURITY_SCHEMES = {
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description:
      "A JWT with `exp` and `companyId` or `companies`; `roles` with `ops` for what is said to take that role.",
  },
  cookie: {
    type: "apiKey",
    in: "cookie",
    name: "__Host-millrace",
    description:
      "Set when a ticket is redeemed, `millrace` on a loopback host. Counts where nothing is changed.",
  },
  ticket: {
    type: "apiKey",
    in: "query",
    name: "ticket",
    description: "From `POST /stream/tickets`: for one use, within 30 s.",
  },
  metricsToken: { type: "http", scheme: "bearer", description: "`AUTH_TOKEN`: the metrics API alone." },
};

/** Any one of them lets in. */
export const SECURITY: Readonly<Record<Access, readonly Json[]>> = {
  open: [],
  bearer: [{ bearer: [] }],
  cookie: [{ bearer: [] }, { cookie: [] }],
  ticket: [{ bearer: [] }, { ticket: [] }, { cookie: [] }],
  // Last: nothing at all, where AUTH_TOKEN is not set.
  metrics: [{ metricsToken: [] }, { bearer: [] }, { cookie: [] }, {}],
};

/** By name, what each says. */
export const headersOf = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
