#!/bin/sh
# Makes the secrets of infra/compose.yaml: random ones, one file each, in .millrace/secrets. A file that is there stays as it is, so your own
# (a certificate, the URL of a broker elsewhere) take the place of these.
#
# The folder is for its owner alone. The files in it can be read by all, since Compose hands each to its container with the owner and the
# mode it has here, and every image has a user of its own.
set -eu
cd "$(dirname "$0")/.."
folder="${1:-.millrace/secrets}"
umask 022
mkdir -p "$folder"
chmod 700 "$folder"

# $1: file, $2: its content, with no line break at its end: not everybody who reads one cuts it. In one step, so that an interrupted run leaves
# nothing half.
keep() {
  [ ! -e "$folder/$1" ] || return 0
  printf '%s' "$2" >"$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
  echo "made $folder/$1"
}
random() { openssl rand -hex 32; }
# The password that a file of ours holds already: a lost second file is made again to fit the first.
known() { [ ! -e "$folder/$1" ] || sed -n "$2" "$folder/$1" | head -n 1; }

for name in jwt-secret auth-token redis-rest-token mongodb-root-password mq-app-password mq-admin-password grafana-password; do
  keep "$name" "$(random)"
done

password=$(known redis-url 's|^redis://default:\([0-9a-f]*\)@.*|\1|p')
password=${password:-$(random)}
keep redis-url "redis://default:$password@redis:6379"
keep redis-auth.conf "requirepass $password"

password=$(known mongodb-uri 's|^mongodb://millrace:\([0-9a-f]*\)@.*|\1|p')
password=${password:-$(random)}
keep mongodb-uri "mongodb://millrace:$password@mongodb:27017/message_streaming"
keep mongodb-password "$password"

# Two users, as infra/rabbitmq/definitions.json says what each may do; only there the passwords are not in it.
bridge=$(known amqp-url 's|^amqp://bridge:\([0-9a-f]*\)@.*|\1|p')
bridge=${bridge:-$(random)}
publisher=$(known amqp-publisher-url 's|^amqp://publisher:\([0-9a-f]*\)@.*|\1|p')
publisher=${publisher:-$(random)}
keep amqp-url "amqp://bridge:$bridge@rabbitmq:5672/events"
keep amqp-publisher-url "amqp://publisher:$publisher@127.0.0.1:5672/events"
# By itself, so that a failure ends the script and an empty file is never kept.
definitions=$(awk -v bridge="$bridge" -v publisher="$publisher" '
  /"name": "bridge"/ { password = bridge }
  /"name": "publisher"/ { password = publisher }
  /"password_hash": ""/ { sub(/"password_hash": ""/, "\"password\": \"" password "\"") }
  /"hashing_algorithm"/ { next }
  { print }' infra/rabbitmq/definitions.json)
keep rabbitmq-definitions.json "$definitions"

bridge=$(known nats-url 's|^nats://bridge:\([0-9a-f]*\)@.*|\1|p')
bridge=${bridge:-$(random)}
publisher=$(known nats-publisher-url 's|^nats://publisher:\([0-9a-f]*\)@.*|\1|p')
publisher=${publisher:-$(random)}
keep nats-url "nats://bridge:$bridge@nats:4222"
keep nats-publisher-url "nats://publisher:$publisher@127.0.0.1:4222"
keep nats-passwords.conf "BRIDGE_PASSWORD: \"$bridge\"
PUBLISHER_PASSWORD: \"$publisher\""

# A certificate nobody knows, for a try. Put your own in its place: tls.pem (the server's, then the intermediate ones) and tls.key.
if [ ! -e "$folder/tls.pem" ] && [ ! -e "$folder/tls.key" ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$folder/tls.key.new" -out "$folder/tls.pem.new" 2>"$folder/openssl.log" || { cat "$folder/openssl.log" >&2; exit 1; }
  # openssl gives its owner alone the key.
  chmod 644 "$folder/tls.key.new"
  mv "$folder/tls.key.new" "$folder/tls.key"
  mv "$folder/tls.pem.new" "$folder/tls.pem"
  rm "$folder/openssl.log"
  echo "made $folder/tls.pem and tls.key"
fi
