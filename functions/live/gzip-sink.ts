/** A sink behind which everything is gzip. What many clients are given is compressed once for all of them. */
import { joinBytes } from "../core/bytes.ts";
import { addPiece, type Deflate, GZIP_HEADER, type GzipPiece, gzipEnd, gzipPiece } from "../core/gzip.ts";
import type { Sink } from "../ports/hub.ts";

interface SharedPiece extends GzipPiece {
  /** The blocks behind the header, once a stream has begun with them. */
  first: Uint8Array | undefined;
}

/** By the bytes given to the sinks, for as long as somebody holds those. No more than a memory: it follows from them alone. */
const pieces = new WeakMap<Uint8Array, SharedPiece>();

/**
 * Wraps a sink of an answer that says `content-encoding: gzip` (in workerd its Response is made with `encodeBody: "manual"`, or it is
 * compressed once more, and held back). Each write becomes one write, which the client can decode whole: nothing waits in here. The same
 * array given to several sinks is compressed once, by the `deflate` of the first of them. A stream that is ended while its client reads
 * has its trailer; one that is cut has none, which a decoder takes for what it is.
 */
export function gzipSink(sink: Sink, deflate: Deflate): Sink {
  const sum = { crc: 0, length: 0 };
  let state: "new" | "begun" | "ended" = "new";
  let isFull = false;

  const wrapped: Sink = {
    onDrain() {},
    write(bytes) {
      if (state === "ended") return false;
      let piece = pieces.get(bytes);
      if (piece === undefined) {
        piece = { ...gzipPiece(bytes, deflate), first: undefined };
        pieces.set(bytes, piece);
      }
      addPiece(sum, piece);
      if (state === "new") {
        state = "begun";
        piece.first ??= joinBytes([GZIP_HEADER, piece.blocks]);
        isFull = !sink.write(piece.first);
      } else {
        isFull = !sink.write(piece.blocks);
      }
      return !isFull;
    },
    end(reason) {
      if (state === "ended") return;
      const end = gzipEnd(sum);
      if (!isFull) sink.write(state === "new" ? joinBytes([GZIP_HEADER, end]) : end);
      state = "ended";
      sink.end(reason);
    },
  };
  sink.onDrain = () => {
    isFull = false;
    wrapped.onDrain();
  };
  return wrapped;
}
