/** The fields of the shim's requests and answers (shim.c): numbers of 4 bytes and blocks with their length, little-endian. */

export interface FieldReader {
  long(): number;
  block(): Buffer;
  text(): string;
}

/** Reads fields from the start. Throws when they end early: the shim and the stand-in then differ. */
export function readFields(data: Buffer): FieldReader {
  let at = 0;
  const long = () => {
    const value = data.readInt32LE(at);
    at += 4;
    return value;
  };
  const block = () => {
    const length = long();
    if (length < 0 || at + length > data.length) throw new RangeError(`A block of ${length} bytes is cut`);
    at += length;
    return data.subarray(at - length, at);
  };
  return { long, block, text: () => block().toString() };
}

const fourBytes = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

/** Numbers become fields of 4 bytes, texts and bytes become blocks. */
export function writeFields(fields: readonly (number | string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      if (typeof field === "number") return [fourBytes(field)];
      const bytes = typeof field === "string" ? Buffer.from(field) : field;
      return [fourBytes(bytes.byteLength), bytes];
    }),
  );
}

/** Splits a byte stream into frames: length, then that many bytes. */
export function createFrames(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  return (chunk) => {
    parts.push(chunk);
    held += chunk.length;
    while (held >= 4) {
      // Joined only when a frame is whole: a large message comes in many chunks.
      if (parts[0]!.length < 4) parts = [Buffer.concat(parts)];
      const end = 4 + parts[0]!.readUInt32LE(0);
      if (held < end) return;
      const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      const rest = all.subarray(end);
      parts = rest.length > 0 ? [rest] : [];
      held = rest.length;
      onFrame(all.subarray(4, end));
    }
  };
}

/** Message properties as the shim writes them: name, type, value. */
export function writeProperties(properties: Readonly<Record<string, string>>, type: number): Buffer {
  return writeFields(Object.entries(properties).flatMap(([name, value]) => [name, type, value]));
}

/** Their values as text, for a test to look at. */
export function readProperties(data: Buffer): Record<string, string> {
  const properties: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const fields = readFields(data.subarray(at));
    const name = fields.block();
    fields.long();
    const value = fields.block();
    properties[name.toString()] = value.toString();
    at += 12 + name.length + value.length;
  }
  return properties;
}
