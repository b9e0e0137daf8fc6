/** A line among text: one SVG path a key, so that the style sheet colours it and a snapshot writes one attribute. */
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 118;
const HEIGHT = 24;

export interface Sparkline {
  readonly element: SVGSVGElement;
  draw(values: readonly number[]): void;
}

/** For the eye alone: the numbers are beside it. */
export function createSparkline(): Sparkline {
  const element = document.createElementNS(SVG, "svg");
  element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  element.setAttribute("preserveAspectRatio", "none");
  element.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("vector-effect", "non-scaling-stroke");
  element.append(path);
  let drawn = "";
  return {
    element,
    draw(values) {
      const shape = shapeOf(values);
      if (shape === drawn) return;
      drawn = shape;
      path.setAttribute("d", shape);
    },
  };
}

function shapeOf(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length - 1);
  return values
    .map((value, index) => {
      const y = HEIGHT - 1 - (value / most) * (HEIGHT - 2);
      return `${index === 0 ? "M" : "L"}${Math.round(index * step)} ${y.toFixed(1)}`;
    })
    .join("");
}
