/** The page at `/mq`: what the queue manager streams, one card a use case, from `/sse`; asked of `/api/metrics` where streams do not get through. */
import { byId, formatClock, setText } from "../kit/dom.ts";
import { openLive } from "../kit/live.ts";
import { openShell } from "../kit/shell.ts";
import { createUseCase, type UseCase } from "./mq/use-case.ts";

const USE_CASES = [
  { feed: "AUDIT_TXN", title: "Transaction audit", color: "--accent" },
  { feed: "PROMO_FEED", title: "Orders", color: "--replay" },
  { feed: "CENTRAL_SYNC", title: "Inventory", color: "--warn" },
] as const;
/** Milliseconds without numbers after which they are of the past: they come every second. */
const SILENT_MS = 5_000;
const TICK_MS = 1_000;
/** Milliseconds after the last numbers for which the charts stand still: the next are about to come. */
const PAUSE_MS = 2_500;

const { companyId } = openShell({ companies: "any" });
const query = companyId === "" ? "" : `?${new URLSearchParams({ companyId })}`;
const box = byId("cards", HTMLDivElement);
const asOf = byId("as-of", HTMLParagraphElement);
const [template, payload] = ["use-case", "payload"].map((id) => byId(id, HTMLTemplateElement)) as [
  HTMLTemplateElement,
  HTMLTemplateElement,
];
const cards = USE_CASES.map((useCase) => ({
  ...useCase,
  card: createUseCase({ ...useCase, template, payload, showsCompany: companyId === "" }),
}));
box.append(...cards.map(({ card }) => card.element));
document.title = `IBM MQ of ${companyId || "all companies"} · Millrace`;

let heardMs: number | undefined;
let frame = 0;

function draw(): void {
  frame = 0;
  const nowMs = Date.now();
  const isCurrent = heardMs !== undefined && nowMs - heardMs < PAUSE_MS;
  for (const { card } of cards) card.draw(isCurrent ? (heardMs ?? nowMs) : nowMs);
  if (heardMs !== undefined) setText(asOf, `as of ${formatClock(new Date(heardMs))}`);
}

/** At most once a frame, and not while the page is hidden. */
function schedule(): void {
  if (frame === 0) frame = requestAnimationFrame(draw);
}

openLive(`/sse${query}`, {
  feeds: [box],
  shared: "newest",
  pollPath: `/api/metrics${query}`,
  silentMs: SILENT_MS,
  onMessage({ type, data }) {
    if (type !== "message") return;
    const feed = JSON.parse(data) as Readonly<Record<string, UseCase>>;
    const nowMs = Date.now();
    heardMs = nowMs;
    for (const { feed: name, card } of cards) {
      const useCase = feed[name];
      if (useCase) card.record(useCase, nowMs);
    }
    schedule();
  },
});
schedule();
// The charts move on, whether or not something comes.
setInterval(schedule, TICK_MS);
