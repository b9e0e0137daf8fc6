/**
 * CRC-32 as gzip uses it (RFC 1952, section 8), and the CRC of two texts joined from the CRCs of each, without looking at the bytes again
 * (zlib's `crc32_combine`): a polynomial over GF(2), its lowest power in the highest bit.
 */

/** The polynomial, without its highest power. */
const POLYNOMIAL = 0xedb88320;
/** The polynomial 1. */
const ONE = 0x80000000;

/** `TABLES[k][b]`: the CRC of byte b with k zero bytes behind it, so that four bytes are one step. */
const TABLES: readonly Uint32Array[] = (() => {
  const tables = Array.from({ length: 4 }, () => new Uint32Array(256));
  const [first] = tables as [Uint32Array];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  for (let k = 1; k < 4; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const crc = tables[k - 1]![byte]!;
      tables[k]![byte] = first[crc & 0xff]! ^ (crc >>> 8);
    }
  }
  return tables;
})();

/** Unsigned; 0 for no bytes. */
export function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const { length } = bytes;
  let crc = ~0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!;
  }
  for (; at < length; at++) crc = t0[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The product of two polynomials modulo the polynomial. No branches: what they would depend on cannot be foreseen. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let power = 31; power >= 0; power--) {
    product ^= b & -((a >>> power) & 1);
    b = (b >>> 1) ^ (POLYNOMIAL & -(b & 1));
  }
  return product >>> 0;
}

/** `SQUARES[n]`: x to the power 2^n. */
const SQUARES: readonly number[] = (() => {
  const squares = [ONE >>> 1];
  while (squares.length < 32) squares.push(multiply(squares.at(-1)!, squares.at(-1)!));
  return squares;
})();

/** What a CRC is multiplied by to have `length` bytes (below 2^28) come behind it. Made once a text, for all it is put behind. */
export function crc32Shift(length: number): number {
  let shift = ONE;
  // A byte is x to the power 2^3.
  for (let rest = length, n = 3; rest > 0; rest >>>= 1, n++) {
    if (rest & 1) shift = multiply(SQUARES[n]!, shift);
  }
  return shift;
}

/** The CRC of a text with another behind it, which has the CRC `crc` and the shift of its length. */
export function crc32Join(before: number, { crc, shift }: { crc: number; shift: number }): number {
  return (multiply(shift, before) ^ crc) >>> 0;
}
