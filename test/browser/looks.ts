/** What every page has to hold: readable text, nothing wider than the screen, no complaint of the browser. */
import type { Page } from "playwright-core";

/** Collects what the browser complains of: scripts that failed, and whatever the Content-Security-Policy stopped. */
export function watchComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // A server that is away is said by the browser too, as a failed resource.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  return complaints;
}

/**
 * Texts on the page, or within `root`, whose contrast with what is behind them is under WCAG AA (4.5:1; 3:1 from 24 px, or 18.66 px bold), as
 * `text: ratio`. What fades (opacity) counts as faded. Looks at plain background colours alone.
 */
export function lowContrast(page: Page, root = "body"): Promise<string[]> {
  return page.locator(root).evaluate((top) => {
    const { document, getComputedStyle, NodeFilter, OffscreenCanvas } = top.ownerDocument.defaultView;
    type Color = [number, number, number, number];
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const known = new Map<string, Color>();
    const read = (color: string): Color => {
      const found = known.get(color);
      if (found || !canvas) return found ?? [0, 0, 0, 1];
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
      const value: Color = [r, g, b, a / 255];
      known.set(color, value);
      return value;
    };
    const over = (front: Color, back: Color, alpha = front[3]): Color => [
      front[0] * alpha + back[0] * (1 - alpha),
      front[1] * alpha + back[1] * (1 - alpha),
      front[2] * alpha + back[2] * (1 - alpha),
      1,
    ];
    const luminance = (color: Color): number => {
      const [r = 0, g = 0, b = 0] = color.slice(0, 3).map((channel) => {
        const part = channel / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    /** What is painted at an element, from the page's ground up. */
    const painted = (element: typeof top): { ground: Color; opacity: number } => {
      const chain: (typeof top)[] = [];
      for (let at = element; at; at = at.parentElement) chain.unshift(at);
      let ground: Color = [255, 255, 255, 1];
      let opacity = 1;
      for (const one of chain) {
        const style = getComputedStyle(one);
        opacity *= Number(style.opacity);
        ground = over(read(style.backgroundColor), ground);
      }
      return { ground, opacity };
    };
    const found: string[] = [];
    const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      const text = node.textContent?.trim();
      if (!element || !text || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(".unseen, .skip, option, template, :disabled")) continue;
      const style = getComputedStyle(element);
      const { ground, opacity } = painted(element);
      const ink = over(read(style.color), ground, read(style.color)[3] * opacity);
      const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a) as [number, number];
      const ratio = (light + 0.05) / (dark + 0.05);
      const px = Number.parseFloat(style.fontSize);
      const isLarge = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return found;
  });
}

/** CSS pixels of the page beyond the width of the screen; 0: nothing has to be pushed sideways. */
export function overflow(page: Page): Promise<number> {
  return page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth);
}
