/**
 * Demo of the operator's own services telling how they are, as on Redis channels: a status on `service:all`, log lines in between. They
 * belong to no tenant, so their bodies name none.
 *
 * Each service says what it does next and when; whoever is due first has the next message. Where messages are asked for faster than they
 * are due, who does not mind (`isFirm`) speaks earlier.
 */
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import { LOG_LINE_TYPE } from "../../functions/core/log-line.ts";
import { SERVICE_STATUS_TYPE } from "../../functions/core/service-status.ts";
import type { GeneratorOptions, Message } from "./message.ts";
import { accountDiscovery, accountEnrichment, balanceSync, type Said, type World } from "./service-demos.ts";
import { smsSender } from "./service-sms.ts";

const SERVICES = {
  "balance-sync": balanceSync,
  "account-discovery": accountDiscovery,
  "account-enrichment": accountEnrichment,
  sms: smsSender,
};

/** Messages without end: some two a second are due. */
export function* demoServices({
  random = Math.random,
  now = Date.now,
  newId = () => crypto.randomUUID(),
}: Omit<GeneratorOptions, "companies">): Generator<Message, never> {
  const world: World = { random, found: 40, now: () => new Date(now()).toISOString() };
  const services = Object.entries(SERVICES).map(([name, live], at) => ({
    name,
    life: live(world),
    dueMs: now() + at,
    isFirm: false,
  }));

  for (;;) {
    const nowMs = now();
    // There is always one: balance-sync is never firm.
    const service = services
      .filter(({ isFirm, dueMs }) => !isFirm || dueMs <= nowMs)
      .reduce((first, other) => (other.dueMs < first.dueMs ? other : first));
    const { value: said } = service.life.next();
    service.dueMs = nowMs + said.thenMs;
    service.isFirm = said.isFirm ?? false;
    yield messageOf(service.name, said, { id: newId(), source: "/demo/services", time: world.now() });
  }
}

function messageOf(service: string, said: Said, common: Pick<Message, "id" | "source" | "time">): Message {
  const ts = common.time;
  if ("status" in said) {
    const body = { service, ...said.status, ts };
    return {
      ...common,
      ...{ subject: "service:all", type: SERVICE_STATUS_TYPE, companyId: OPERATIONS_COMPANY, body },
    };
  }
  const body = { ts, level: said.level, service, message: said.message };
  return {
    ...common,
    ...{ subject: `logs:${service}`, type: LOG_LINE_TYPE, companyId: LOGS_COMPANY, body },
  };
}
