/** X.509 certificates for tests of TLS (RFC 5280), made here so that no test needs openssl. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority extends TestCertificate {
  /** A certificate of this authority for 127.0.0.1 and localhost, good for a server and for a client. */
  issue(commonName: string): TestCertificate;
}

/** Valid from yesterday, for 30 days. */
const FROM_MS = Date.now() - 86_400_000;
const UNTIL_MS = FROM_MS + 30 * 86_400_000;

export function createAuthority(commonName = "Millrace test authority"): TestAuthority {
  const own = newKey();
  const issue = (name: string, key: ReturnType<typeof newKey>, isAuthority: boolean): TestCertificate => {
    const extension = isAuthority ? basicConstraints() : subjectAltName();
    const tbs = sequence(
      tagged(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ecdsaWithSha256(),
      distinguishedName(commonName),
      sequence(utcTime(FROM_MS), utcTime(UNTIL_MS)),
      distinguishedName(name),
      key.publicKey.export({ type: "spki", format: "der" }),
      tagged(0xa3, sequence(extension)),
    );
    const signature = sign("sha256", tbs, own.privateKey);
    const der = sequence(tbs, ecdsaWithSha256(), tagged(0x03, Buffer.concat([Buffer.from([0]), signature])));
    return { cert: pem("CERTIFICATE", der), key: pemKey(key.privateKey) };
  };
  return { ...issue(commonName, own, true), issue: (name) => issue(name, newKey(), false) };
}

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const pemKey = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const pem = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${der.toString("base64").replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;

/** A value of ASN.1 in DER (X.690): tag, length, content. */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}
const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts));
const integer = (content: Buffer) => tagged(0x02, content);
const oid = (hex: string) => tagged(0x06, Buffer.from(hex, "hex"));
/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = () => sequence(oid("2a8648ce3d040302"));
/** CN=name */
const distinguishedName = (name: string) =>
  sequence(tagged(0x31, sequence(oid("550403"), tagged(0x0c, Buffer.from(name)))));
const utcTime = (ms: number) => {
  const digits = new Date(ms).toISOString().replace(/\D/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
};
const octets = (content: Buffer) => tagged(0x04, content);
/** 2.5.29.19, critical: an authority. */
const basicConstraints = () =>
  sequence(
    oid("551d13"),
    tagged(0x01, Buffer.from([0xff])),
    octets(sequence(tagged(0x01, Buffer.from([0xff])))),
  );
/** 2.5.29.17 */
const subjectAltName = () =>
  sequence(
    oid("551d11"),
    octets(sequence(tagged(0x82, Buffer.from("localhost")), tagged(0x87, Buffer.from([127, 0, 0, 1])))),
  );
