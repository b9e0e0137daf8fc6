/** The hook in a page of React: choose a company, and see its events. */
import { useEventStream } from "millrace/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

function Events({ companyId }) {
  const { lastEvent, connected, state, events, gap, error } = useEventStream({
    companyId,
    // Made anew at each render, and no reason to connect anew: the same types are in it.
    types: ["metric_updated", "auth.login", "order.created", "audit.txn"],
    maxEvents: 20,
  });
  return (
    <section>
      <p id="state" role="status">
        {error ?? (connected ? `live over ${state.transport}` : state.kind)}
      </p>
      {gap && <p>Some events cannot be shown any more ({gap.reason}).</p>}
      <p id="last">{lastEvent ? `${lastEvent.companyId}: ${lastEvent.type}` : "Nothing yet"}</p>
      <ol>
        {events.map(({ cursor, type, data }) => (
          <li key={cursor}>
            {type} {JSON.stringify(data)}
          </li>
        ))}
      </ol>
    </section>
  );
}

function App() {
  const [companyId, setCompanyId] = useState("acme");
  const [isOpen, setIsOpen] = useState(true);
  return (
    <main>
      <h1>Events in React</h1>
      <label>
        Company{" "}
        <select value={companyId} onChange={(event) => setCompanyId(event.target.value)}>
          <option>acme</option>
          <option>globex</option>
        </select>
      </label>{" "}
      <button type="button" onClick={() => setIsOpen(!isOpen)}>
        {isOpen ? "Hide" : "Show"}
      </button>
      {isOpen && <Events companyId={companyId} />}
    </main>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
