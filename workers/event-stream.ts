/** OpenEventStream on workerd: a plain web stream, the cheapest it has (43-60 us a write; a TransformStream takes more). */
import { openWebStream } from "../functions/adapters/event-stream-web.ts";
import type { OpenEventStream } from "../functions/ports/event-stream.ts";

export const openWorkerStream: OpenEventStream = (request, headers, onGone) => {
  const { sink, response } = openWebStream(request, headers, onGone);
  if (!("content-encoding" in headers)) return { sink, response };
  // workerd would compress what says that it is compressed (Response, `encodeBody`).
  const { body, status } = response;
  return { sink, response: new Response(body, { status, headers, encodeBody: "manual" }) };
};
