/** Makes a PNG of a screen small: at most 256 colours, which a page of text and flat areas hardly misses. A third of the size or less. */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const MOST_COLOURS = 256;

interface Image {
  readonly width: number;
  readonly height: number;
  /** 0xRRGGBB, row by row. */
  readonly pixels: Uint32Array;
}

/** The PNG with a palette. @throws Error for a PNG that is not 8 bits of RGB or RGBA without interlace, as browsers write them. */
export function palettePng(png: Buffer): Buffer {
  const { width, height, pixels } = decode(png);
  const palette = choosePalette(pixels);
  const indexOf = new Map<number, number>(palette.map((colour, index) => [colour, index]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    // Each row begins with its filter: none.
    for (let x = 0; x < width; x++) {
      const colour = pixels[y * width + x] ?? 0;
      const index = indexOf.get(colour) ?? nearest(colour, palette);
      indexOf.set(colour, index);
      rows[y * (width + 1) + 1 + x] = index;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits, indexed.
  header.set([8, 3], 8);
  const colours = Buffer.from(palette.flatMap((colour) => channels(colour)));
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/**
 * The colours that most pixels have, and then, as long as there is room, those furthest from all that were taken: a small mark keeps its
 * colour beside large areas.
 */
function choosePalette(pixels: Uint32Array): number[] {
  const counts = new Map<number, number>();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const byCount = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour);
  if (byCount.length <= MOST_COLOURS) return byCount;
  const palette = byCount.slice(0, MOST_COLOURS / 2);
  const others = byCount.slice(MOST_COLOURS / 2);
  const distances = others.map((colour) => Math.min(...palette.map((taken) => distance(colour, taken))));
  while (palette.length < MOST_COLOURS) {
    let furthest = 0;
    for (let at = 1; at < others.length; at++) {
      if ((distances[at] ?? 0) > (distances[furthest] ?? 0)) furthest = at;
    }
    const taken = others[furthest] ?? 0;
    palette.push(taken);
    others.forEach((colour, at) => {
      distances[at] = Math.min(distances[at] ?? 0, distance(colour, taken));
    });
  }
  return palette;
}

function nearest(colour: number, palette: readonly number[]): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  palette.forEach((other, index) => {
    const far = distance(colour, other);
    if (far < least) [best, least] = [index, far];
  });
  return best;
}

function channels(colour: number): [number, number, number] {
  return [colour >> 16, (colour >> 8) & 255, colour & 255];
}

function distance(a: number, b: number): number {
  const [r, g, bl] = channels(a);
  const [r2, g2, bl2] = channels(b);
  return (r - r2) ** 2 + (g - g2) ** 2 + (bl - bl2) ** 2;
}

function decode(png: Buffer): Image {
  const parts = new Map<string, Buffer[]>();
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const name = png.toString("latin1", at + 4, at + 8);
    parts.set(name, [...(parts.get(name) ?? []), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  const header = parts.get("IHDR")?.[0];
  const [depth, kind, , , interlace] = header?.subarray(8) ?? [];
  if (!header || depth !== 8 || (kind !== 2 && kind !== 6) || interlace !== 0) {
    throw new Error("Cannot read the PNG: expected 8 bits of RGB or RGBA without interlace");
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const step = kind === 2 ? 3 : 4;
  const bytes = inflateSync(Buffer.concat(parts.get("IDAT") ?? []));
  const line = width * step;
  const pixels = new Uint32Array(width * height);
  let above = new Uint8Array(line);
  for (let y = 0; y < height; y++) {
    const from = y * (line + 1);
    const row = new Uint8Array(bytes.subarray(from + 1, from + 1 + line));
    unfilter(bytes[from] ?? 0, row, above, step);
    for (let x = 0; x < width; x++) {
      const [r = 0, g = 0, b = 0] = row.subarray(x * step, x * step + 3);
      pixels[y * width + x] = (r << 16) | (g << 8) | b;
    }
    above = row;
  }
  return { width, height, pixels };
}

/** PNG (third edition) 9.2. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  for (let at = 0; at < row.length; at++) {
    const left = at < step ? 0 : (row[at - step] ?? 0);
    const up = above[at] ?? 0;
    const corner = at < step ? 0 : (above[at - step] ?? 0);
    const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
    row[at] = (row[at] ?? 0) + predicted;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
