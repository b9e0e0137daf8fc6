/** Lines out of the page, as text: to the clipboard, or a file. */
import { announce, showNotice } from "../../kit/notices.ts";
import { formatLine, type Line } from "./line.ts";

/** Lines made into text before the page has its turn again. */
const LINES_AT_ONCE = 1_000;

/** Pieces of the text, made a slice at a time: 100,000 lines at once would hold the page up. */
export async function textOfLines(lines: readonly Line[]): Promise<string[]> {
  const parts: string[] = [];
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    if (at > 0) await new Promise((resolve) => setTimeout(resolve));
    const slice = lines.slice(at, at + LINES_AT_ONCE);
    parts.push(slice.map((line) => `${formatLine(line)}\n`).join(""));
  }
  return parts;
}

/** Browsers give the clipboard to pages of HTTPS and of this machine alone. */
export const CAN_COPY = typeof navigator.clipboard?.writeText === "function";

/** Says how it went; `what` begins the sentence. */
export async function copyText(parts: readonly string[], what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(parts.join(""));
    showNotice("copy", `${what}: copied.`, "good");
  } catch {
    showNotice("copy", `${what}: not copied, the browser does not let this page write to the clipboard.`);
  }
}

/** Offers the text as a file to be saved. */
export function downloadText(parts: readonly string[], name: string, what: string): void {
  const url = URL.createObjectURL(new Blob([...parts], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it up by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  announce(`${what}: downloaded.`);
}
