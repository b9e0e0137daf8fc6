/** The filter's controls, and the filter in the URL, so that a link shows the same lines. */
import { byId } from "../../kit/dom.ts";
import { LEVELS, type Level } from "./line.ts";
import type { Filter } from "./line-view.ts";

export interface LogFilter {
  readonly filter: Filter;
  /** Services there are to choose from; those known already stay. */
  addServices(names: Iterable<string>): void;
  clear(): void;
}

/** Milliseconds without a key after which the text is searched for. */
const DEBOUNCE_MS = 150;
const MAX_TEXT_CHARS = 200;
/** Names offered: as many as the server has services. */
const MAX_SERVICES = 1_000;

export function openLogFilter(onChange: (filter: Filter) => void): LogFilter {
  const service = byId("log-service", HTMLSelectElement);
  const search = byId("log-search", HTMLInputElement);
  const levels = [...document.querySelectorAll<HTMLInputElement>("#log-levels input")];
  const known = new Set<string>();
  let debounce: ReturnType<typeof setTimeout> | undefined;

  const { searchParams } = new URL(location.href);
  let filter: Filter = {
    service: searchParams.get("service") ?? "",
    level: Math.max(0, LEVELS.indexOf((searchParams.get("level") ?? "") as Level)),
    text: (searchParams.get("q") ?? "").slice(0, MAX_TEXT_CHARS),
  };

  function addServices(names: Iterable<string>): void {
    for (const name of names) {
      if (name === "" || known.has(name) || known.size >= MAX_SERVICES) continue;
      known.add(name);
      // In its place, instead of all anew: the list may be open.
      const after = Array.from(service.options).find((option) => option.value > name);
      service.add(new Option(name, name), after ?? null);
    }
  }

  function show(): void {
    addServices([filter.service]);
    service.value = filter.service;
    search.value = filter.text;
    for (const [level, radio] of levels.entries()) radio.checked = level === filter.level;
  }

  function change(part: Partial<Filter>): void {
    clearTimeout(debounce);
    filter = { ...filter, ...part };
    const page = new URL(location.href);
    const put = (name: string, value: string): void => {
      if (value === "") page.searchParams.delete(name);
      else page.searchParams.set(name, value);
    };
    put("service", filter.service);
    put("level", filter.level === 0 ? "" : (LEVELS[filter.level] ?? ""));
    put("q", filter.text);
    history.replaceState(null, "", page);
    onChange(filter);
  }

  service.addEventListener("change", () => change({ service: service.value }));
  for (const [level, radio] of levels.entries()) {
    radio.addEventListener("change", () => change({ level }));
  }
  const searchNow = () => {
    if (search.value !== filter.text) change({ text: search.value });
  };
  search.addEventListener("input", () => {
    clearTimeout(debounce);
    debounce = setTimeout(searchNow, DEBOUNCE_MS);
  });
  byId("log-filter", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    searchNow();
  });

  show();
  return {
    get filter() {
      return filter;
    },
    addServices,
    clear() {
      change({ service: "", level: 0, text: "" });
      show();
      search.focus();
    },
  };
}
