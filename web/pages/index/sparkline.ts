/** The bars of the last minute, one a second: live below, replayed on top, a band where the stream was away. */
import { byId, formatCount, setText } from "../../kit/dom.ts";
import { type Second, SPAN_SECONDS } from "./meter.ts";

const SVG = "http://www.w3.org/2000/svg";
/** The view box of the page's `svg`. */
const WIDTH = 600;
const HEIGHT = 100;

/** Returns the function that draws. Elements are made once; a drawing moves them. */
export function createSparkline(): (seconds: readonly Readonly<Second>[]) => void {
  const svg = byId("spark", SVGSVGElement);
  const most = byId("spark-most", HTMLSpanElement);
  const step = WIDTH / SPAN_SECONDS;

  const columns = Array.from({ length: SPAN_SECONDS }, (_, index) => {
    const bar = (kind: string, inset: number): SVGRectElement => {
      const rect = document.createElementNS(SVG, "rect");
      rect.setAttribute("class", kind);
      rect.setAttribute("x", String(index * step + inset));
      rect.setAttribute("width", String(step - 2 * inset));
      svg.append(rect);
      return rect;
    };
    return { away: bar("absence", 0), live: bar("live", 1), replayed: bar("replayed", 1) };
  });

  const place = (rect: SVGRectElement, y: number, height: number): void => {
    rect.setAttribute("y", y.toFixed(1));
    rect.setAttribute("height", height.toFixed(1));
  };

  return (seconds) => {
    const highest = Math.max(1, ...seconds.map(({ live, replayed }) => live + replayed));
    setText(most, highest > 1 ? `${formatCount(highest)}/s` : "");
    columns.forEach(({ away, live, replayed }, index) => {
      const second = seconds[index];
      if (!second) return;
      const liveHeight = (second.live / highest) * HEIGHT;
      const replayedHeight = (second.replayed / highest) * HEIGHT;
      place(away, 0, second.away ? HEIGHT : 0);
      place(live, HEIGHT - liveHeight, liveHeight);
      place(replayed, HEIGHT - liveHeight - replayedHeight, replayedHeight);
    });
  };
}
