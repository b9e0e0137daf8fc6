/** What every page has around its content: the company, who is signed in, the links between pages. */
import { byId } from "./dom.ts";
import { announce } from "./notices.ts";
import { fetchWithToken, readToken, tokenFacts, writeToken } from "./token.ts";

export interface ShellOptions {
  /** Companies: `one` (default); `any`: or all together, for the role `ops`; `none`: the page is of no company. */
  readonly companies?: "one" | "any" | "none";
  /** What of the page's query names something of its company: it is left out where another one is chosen. */
  readonly parameters?: readonly string[];
}

export interface Shell {
  /** Whose events the page shows; empty: all companies together. Another one is another page load. */
  readonly companyId: string;
}

/** The demo's first. */
const FIRST_COMPANY = "acme";
const ALL = "";
const ANOTHER = "*";

/** Sets up the top of the page. Once a page. */
export function openShell({ companies = "one", parameters = [] }: ShellOptions = {}): Shell {
  const token = readToken();
  const facts = tokenFacts(token);
  const asked = new URL(location.href).searchParams.get("companyId");
  const mayAll = companies === "any";
  // Empty is all of them, where there is such a view.
  const companyId =
    (asked === ALL && !mayAll ? undefined : asked) ??
    facts.companies[0] ??
    (mayAll && token !== undefined ? ALL : FIRST_COMPANY);

  for (const link of document.querySelectorAll<HTMLAnchorElement>(".pages a, .brand")) {
    if (asked) link.search = `?${new URLSearchParams({ companyId: asked })}`;
  }
  followPage();
  const signOut = byId("sign-out", HTMLButtonElement);
  signOut.hidden = token === undefined;
  signOut.addEventListener("click", () => {
    writeToken(undefined);
    location.reload();
  });
  byId("sign-in-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    writeToken(byId("sign-in-token", HTMLInputElement).value.trim());
    location.reload();
  });

  const form = byId("company-form", HTMLFormElement);
  form.hidden = companies === "none";
  if (companies !== "none") openCompanies(form, { companyId, known: facts.companies, mayAll, parameters });
  return { companyId };
}

/** Where the pages are a line to be pushed sideways, this one is in sight, also after the screen was turned. */
function followPage(): void {
  const pages = document.querySelector<HTMLElement>(".pages");
  const here = pages?.querySelector<HTMLElement>("[aria-current]");
  if (!pages || !here) return;
  new ResizeObserver(() => {
    const middle = here.offsetLeft - pages.offsetLeft + here.offsetWidth / 2;
    pages.scrollLeft = middle - pages.clientWidth / 2;
  }).observe(pages);
}

/** Asks for a token; `why` in the server's words. The page keeps what it shows. */
export function askForToken(why: string): void {
  const panel = byId("sign-in", HTMLElement);
  byId("sign-in-text", HTMLParagraphElement).textContent = why;
  if (!panel.hidden) return;
  panel.hidden = false;
  announce(`${byId("sign-in-title", HTMLHeadingElement).textContent}: ${why}`);
}

interface CompaniesOptions {
  readonly companyId: string;
  readonly known: readonly string[];
  readonly mayAll: boolean;
  readonly parameters: readonly string[];
}

function openCompanies(
  form: HTMLFormElement,
  { companyId, known, mayAll, parameters }: CompaniesOptions,
): void {
  const select = byId("company", HTMLSelectElement);
  const other = byId("company-text", HTMLInputElement);
  const button = byId("company-go", HTMLButtonElement);
  /** Whether the choice is being moved through by keys, each of which would be a change: that waits for Enter or the button (WCAG 3.2.2). */
  let isMoving = false;
  const show = (names: readonly string[]): void => {
    const all = [...new Set([...names, ...(companyId === ALL ? [] : [companyId])])].sort();
    select.replaceChildren(
      ...(mayAll ? [new Option("all companies", ALL)] : []),
      ...all.map((name) => new Option(name, name)),
      new Option("another…", ANOTHER),
    );
    select.value = companyId;
  };
  const go = (name: string): void => {
    const page = new URL(location.href);
    for (const parameter of parameters) page.searchParams.delete(parameter);
    page.searchParams.set("companyId", name);
    location.assign(page);
  };
  show(known);
  if (known.length === 0) {
    void listCompanies().then((names) => {
      // Not under the reader's hand.
      if (document.activeElement !== select && other.hidden) show(names);
    });
  }
  const changed = (): void => {
    const isAnother = select.value === ANOTHER;
    other.hidden = other.disabled = !isAnother;
    button.hidden = select.value === companyId;
    if (isMoving || button.hidden) return;
    if (isAnother) other.focus();
    else go(select.value);
  };
  select.addEventListener("change", changed);
  select.addEventListener("pointerdown", () => {
    isMoving = false;
  });
  select.addEventListener("keydown", ({ key }) => {
    // These open the list, where one key chooses.
    const opens = key === " " || key === "F4";
    isMoving = !opens && key !== "Enter";
    if (key === "Enter") changed();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(select.value === ANOTHER ? other.value : select.value);
  });
  form.addEventListener("focusout", ({ relatedTarget }) => {
    // Another window has the focus: the reader comes back to it.
    const isStill = [relatedTarget, document.activeElement].some(
      (at) => at instanceof Node && form.contains(at),
    );
    if (isStill || other.value !== "") return;
    // It names whom the page shows.
    select.value = companyId;
    changed();
  });
}

/** The companies that have events, as far as this reader may know. The operator's own have pages of their own. */
async function listCompanies(): Promise<string[]> {
  try {
    const response = await fetchWithToken("/stream/stats");
    if (!response.ok) return [];
    const { replayCache } = (await response.json()) as { replayCache: { eventsByCompany: object } };
    return Object.keys(replayCache.eventsByCompany).filter((name) => !name.startsWith("_"));
  } catch {
    return [];
  }
}
