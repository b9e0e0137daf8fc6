/** The page at `/services`: how the operator's services are, and what they log. */
import { openShell } from "../kit/shell.ts";
import { openServices } from "./services/cards.ts";
import { openLogViewer } from "./services/log-viewer.ts";

openShell({ companies: "none" });
const log = openLogViewer();
openServices((names) => log.addServices(names));
