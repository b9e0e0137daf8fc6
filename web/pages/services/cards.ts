/** The services: a card each, drawn once an animation frame and once a second. */

import type { SmsStatistics } from "../../../functions/core/service-status.ts";
import { byId, formatCount, setText } from "../../kit/dom.ts";
import { openLive } from "../../kit/live.ts";
import { type Card, createCard } from "./card.ts";
import { createPart } from "./part.ts";
import { createSms } from "./sms.ts";
import { sumOf } from "./sms-counts.ts";
import { keepNewest, LOOK_ORDER, lookOf, type ServiceStatus, type Snapshot, summary } from "./status.ts";

/** Cards shown until the reader asks for all: the server knows up to 1,000 services. */
const FIRST_CARDS = 24;
/** As many as the server knows. */
const MAX_SERVICES = 1_000;
const TICK_MS = 1_000;

/** `onNames`: services there are. */
export function openServices(onNames: (names: readonly string[]) => void): void {
  const grid = byId("services", HTMLElement);
  const empty = byId("services-empty", HTMLParagraphElement);
  const all = byId("services-all", HTMLButtonElement);
  const template = byId("service-card", HTMLTemplateElement);
  const sms = createSms();
  const part = createPart("services-asof");
  const known = new Map<string, ServiceStatus>();
  const cards = new Map<string, Card>();
  /** Who changed since the last frame. */
  const changed = new Set<string>();
  let frame = 0;
  let isAll = false;
  let isKnown = false;
  /** The store's clock, ahead of this one by so many milliseconds. */
  let aheadMs = 0;

  /** By name, so that no card moves when a state changes; where not all are shown, those that need somebody come first. */
  function shownNames(): string[] {
    const names = [...known.keys()].sort();
    if (isAll || names.length <= FIRST_CARDS) return names;
    const urgency = (name: string) => LOOK_ORDER.indexOf(lookOf(known.get(name)!));
    return names.sort((a, b) => urgency(a) - urgency(b)).slice(0, FIRST_CARDS);
  }

  function draw(): void {
    frame = 0;
    const names = shownNames();
    const wanted = new Set(names);
    for (const [name, card] of cards) {
      if (wanted.has(name)) continue;
      card.element.remove();
      cards.delete(name);
    }
    let before: Element | null = grid.firstElementChild;
    for (const name of names) {
      let card = cards.get(name);
      if (card === undefined) {
        card = createCard(template);
        cards.set(name, card);
        changed.add(name);
      }
      if (card.element === before) before = before.nextElementSibling;
      else grid.insertBefore(card.element, before);
      if (changed.has(name)) card.show(known.get(name)!);
    }
    changed.clear();
    tick();
    tell();
  }

  function tell(): void {
    const services = [...known.values()];
    setText(byId("services-summary", HTMLElement), summary(services));
    all.hidden = known.size <= FIRST_CARDS;
    setText(all, isAll ? "Show fewer" : `Show all ${formatCount(known.size)}`);
    all.setAttribute("aria-expanded", String(isAll));
    empty.hidden = known.size > 0;
    setText(
      empty,
      part.refusal ??
        (isKnown
          ? "No service has said anything yet. With millrace/services any Node service says how it is."
          : "Waiting for the services."),
    );
  }

  function tick(): void {
    const nowMs = Date.now() + aheadMs;
    for (const card of cards.values()) card.tick(nowMs);
  }

  function schedule(): void {
    if (frame === 0) frame = requestAnimationFrame(draw);
  }

  function take(status: ServiceStatus): void {
    known.set(status.name, status);
    changed.add(status.name);
  }

  /** Of all that send text messages; `otherwise` where none of them is known any more. */
  function takeSms(otherwise: SmsStatistics | null): void {
    const senders = [...known.values()].flatMap(({ sms: of }) => of ?? []);
    const sum = senders.length > 0 ? sumOf(senders) : otherwise;
    if (sum) sms.take(sum, Date.now());
  }

  all.addEventListener("click", () => {
    isAll = !isAll;
    schedule();
  });
  openLive("/api/services/status/stream", {
    feeds: [grid, byId("sms", HTMLElement)],
    shared: keepNewest,
    onMessage({ type, data }) {
      if (type === "snapshot") {
        const { services, sms: newest, timestamp } = JSON.parse(data) as Snapshot;
        known.clear();
        for (const status of services) take(status);
        takeSms(newest);
        aheadMs = Date.parse(timestamp) - Date.now();
        isKnown = true;
      } else if (type === "service_status") {
        const status = JSON.parse(data) as ServiceStatus;
        if (known.has(status.name) || known.size < MAX_SERVICES) take(status);
        if (status.sms) takeSms(null);
      } else return;
      part.heard();
      onNames([...known.keys()]);
      schedule();
    },
    onState(state) {
      part.onState(state);
      tell();
    },
  });
  setInterval(() => {
    // Times of a stream that is not live stand still, like what they are told of.
    if (!document.hidden && grid.dataset.stale !== "true") tick();
  }, TICK_MS);
}
