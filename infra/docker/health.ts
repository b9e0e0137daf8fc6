/**
 * The health check of the images: `node health.ts PORT /healthz` exits 0 when what listens on the port that setting says answers well, else 1.
 * The base images have no curl.
 */
const [setting = "PORT", path = "/healthz"] = process.argv.slice(2);
const url = `http://127.0.0.1:${process.env[setting]}${path}`;
const answer = await fetch(url, { signal: AbortSignal.timeout(4_000) }).catch(() => undefined);
process.exitCode = answer?.ok ? 0 : 1;
