// The user of the telemetry store, in its own database: made once, when the volume is new.
const { readFileSync } = require("node:fs");
db.getSiblingDB("message_streaming").createUser({
  user: "millrace",
  pwd: readFileSync("/run/secrets/mongodb-password", "utf8").trim(),
  roles: [{ role: "readWrite", db: "message_streaming" }],
});
