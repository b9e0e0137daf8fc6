import { describe, expect, it } from "vitest";
import { acceptsGzip } from "../../functions/core/accepts-gzip.ts";

describe("acceptsGzip", () => {
  it.each([
    // What browsers send.
    "gzip, deflate, br, zstd",
    "gzip",
    "GZIP",
    "x-gzip",
    "deflate,gzip;q=1.0",
    "gzip;q=0.001",
    "gzip ; q=0.5",
    "gzip; Q=0.5",
    "*",
    "*;q=0.1",
    "br;q=1, gzip;q=0.2",
    "identity, gzip",
    "identity;q=0.5, gzip;q=0.8",
    "identity;q=0, *",
    "gzip;q=1, *;q=0",
  ])("of %j is yes", (header) => {
    expect(acceptsGzip(header, undefined)).toBe(true);
  });

  it.each([
    undefined,
    "",
    "identity",
    "br",
    "deflate, br",
    "gzip;q=0",
    "gzip;q=0.000",
    "gzip;q=0, *",
    "*;q=0",
    "identity, gzip;q=0.9",
    "*, gzip;q=0.5",
    "identity;q=0.9, *;q=0.5",
    "x-gzipped",
    "gzip2",
    // What cannot be read is not taken for a yes.
    "gzip;q=",
    "gzip;q=2",
    "gzip;q=-1",
    "gzip;q=1.001",
    "gzip;q=yes",
    "gzip;level=9",
  ])("of %j is no", (header) => {
    expect(acceptsGzip(header, undefined)).toBe(false);
  });

  it.each(["1.0 fred", "1.1 a, 1.0 b", "HTTP/1.0 squid", "http/1.0 squid (squid/2.7)", "1.0"])(
    "is no behind a proxy of HTTP/1.0: via %j",
    (via) => {
      expect(acceptsGzip("gzip", via)).toBe(false);
    },
  );

  it.each([undefined, "", "1.1 vegur", "2 google", "HTTP/2 edge", "1.1 a (was 1.0), 2 b", "1.01 a"])(
    "is yes behind others: via %j",
    (via) => {
      expect(acceptsGzip("gzip", via)).toBe(true);
    },
  );
});
