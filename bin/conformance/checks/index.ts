/** Every check, in the order they are run and reported. */
import type { Check } from "../check.ts";
import { authChecks } from "./auth.ts";
import { compressionChecks } from "./compression.ts";
import { counterChecks } from "./counters.ts";
import { cursorChecks } from "./cursor.ts";
import { filterChecks } from "./filters.ts";
import { gapChecks } from "./gap.ts";
import { graphqlChecks } from "./graphql.ts";
import { graphqlStreamChecks } from "./graphql-streams.ts";
import { headerChecks } from "./headers.ts";
import { heartbeatChecks } from "./heartbeat.ts";
import { historyChecks } from "./history.ts";
import { injectionChecks } from "./injection.ts";
import { liveChecks } from "./live.ts";
import { openapiChecks } from "./openapi.ts";
import { orderChecks } from "./order.ts";
import { refusalChecks } from "./refusal.ts";
import { renewalChecks } from "./renewal.ts";
import { resumeChecks } from "./resume.ts";
import { serviceChecks } from "./service.ts";
import { servicesChecks } from "./services.ts";
import { slowChecks } from "./slow.ts";
import { statusChecks } from "./status.ts";
import { telemetryChecks } from "./telemetry.ts";
import { tenantChecks } from "./tenant.ts";
import { ticketChecks } from "./tickets.ts";
import { webSocketChecks } from "./web-socket.ts";
import { webSocketRefusalChecks } from "./web-socket-refusals.ts";
import { wireChecks } from "./wire.ts";

export const CHECKS: readonly Check[] = [
  ...wireChecks,
  ...headerChecks,
  ...compressionChecks,
  ...liveChecks,
  ...resumeChecks,
  ...cursorChecks,
  ...gapChecks,
  ...orderChecks,
  ...injectionChecks,
  ...filterChecks,
  ...tenantChecks,
  ...historyChecks,
  ...statusChecks,
  ...authChecks,
  ...ticketChecks,
  ...renewalChecks,
  ...refusalChecks,
  ...webSocketChecks,
  ...webSocketRefusalChecks,
  ...counterChecks,
  ...telemetryChecks,
  ...servicesChecks,
  ...graphqlChecks,
  ...graphqlStreamChecks,
  ...openapiChecks,
  ...serviceChecks,
  ...slowChecks,
  ...heartbeatChecks,
];
