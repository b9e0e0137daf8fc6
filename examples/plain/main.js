/** A page without a framework: one company's events, newest first. */
import { subscribe } from "millrace/client";

const state = document.getElementById("state");
const list = document.getElementById("events");

subscribe({
  url: location.origin,
  companyId: "acme",
  // Where readers log in, `getToken` gives their token: docs/client.md, "Tokens".
  onEvent({ type, data }) {
    const item = document.createElement("li");
    // Text, never HTML: what is in an event is not yours.
    item.textContent = `${type} ${JSON.stringify(data)}`;
    list.prepend(item);
    if (list.children.length > 50) list.lastChild.remove();
  },
  onGap({ reason }) {
    const item = document.createElement("li");
    item.textContent = `Some events cannot be shown any more (${reason}).`;
    list.prepend(item);
  },
  onState(now) {
    state.textContent =
      now.kind === "live" ? `live over ${now.transport}${now.shared ? ", another tab's" : ""}` : now.kind;
  },
});
