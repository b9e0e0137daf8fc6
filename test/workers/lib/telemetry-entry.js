/** A Worker of nothing but a telemetry store: the name of a call and what it is called with, in; what comes of it, out. */
import { createWorkerTelemetry } from "../../../workers/telemetry-mongodb.ts";

export { CompanyHub } from "../../../workers/company-hub.ts";

let store;

export default {
  async fetch(request, env) {
    store ??= createWorkerTelemetry({ settings: env });
    const { call, given } = await request.json();
    try {
      return Response.json((await store[call](...given)) ?? null);
    } catch ({ code, message }) {
      return Response.json({ code, message }, { status: 500 });
    }
  },
};
