import { describe, expect, it } from "vitest";
import { fitsCookie, formatCookie, readCookie } from "../../functions/core/cookie.ts";

const PUBLIC = "https://stream.example.com/stream/updates?companyId=acme";
const BEHIND_TLS = "http://stream.example.com/stream/updates";
const LOCAL = ["http://127.0.0.1:8787/", "http://localhost/", "http://[::1]:8787/x"];

describe("the cookie", () => {
  it("formatCookie: no script, no other site and no plain HTTP gets it, and it ends with the token", () => {
    for (const url of [PUBLIC, BEHIND_TLS]) {
      expect(formatCookie(url, "a.b.c", 90_999, 1_000)).toBe(
        "__Host-millrace=a.b.c; Path=/; Max-Age=89; HttpOnly; SameSite=Strict; Secure",
      );
    }
    for (const url of LOCAL) {
      expect(formatCookie(url, "a.b.c", 90_999, 1_000)).toBe(
        "millrace=a.b.c; Path=/; Max-Age=89; HttpOnly; SameSite=Strict",
      );
    }
    expect(formatCookie(PUBLIC, "a.b.c", 500, 1_000)).toContain("; Max-Age=0;");
    expect(formatCookie(PUBLIC, "a.b.c", undefined)).not.toContain("Max-Age");
  });

  it("readCookie: what was set, among others, and by the name that the host must use", () => {
    for (const url of [PUBLIC, ...LOCAL]) {
      const set = formatCookie(url, "a.b.c", undefined).split(";")[0]!;
      expect(readCookie(url, set)).toBe("a.b.c");
      expect(readCookie(url, `x=1; ${set};y=2`)).toBe("a.b.c");
      expect(readCookie(url, `x${set}`)).toBeUndefined();
      expect(readCookie(url, "millrace=; __Host-millrace=")).toBeUndefined();
      expect(readCookie(url, null)).toBeUndefined();
    }
    // A sister host could have planted it.
    expect(readCookie(PUBLIC, "millrace=a.b.c")).toBeUndefined();
    expect(readCookie(LOCAL[0]!, "__Host-millrace=a.b.c")).toBeUndefined();
  });

  it("fitsCookie: up to 4,096 bytes with its name", () => {
    expect(fitsCookie("x".repeat(4096 - "__Host-millrace".length))).toBe(true);
    expect(fitsCookie("x".repeat(4097 - "__Host-millrace".length))).toBe(false);
  });
});
