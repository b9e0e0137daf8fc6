#!/bin/sh
# Applies the project's MQSC to a queue manager, then verifies by DISPLAY that the queue manager says what the files say.
set -u

usage() {
  cat <<'END'
Usage: infra/mq/configure.sh [--qmgr NAME] [--container NAME] [--mqsc FILE]...

Applies mqsc/*.mqsc, the numbered files in their order, and verifies what they set. Safe to run again.

  --qmgr NAME       queue manager (default QM1)
  --container NAME  run runmqsc inside this container (docker exec) instead of here
  --mqsc FILE       this file instead of the project's; may be given several times
  --help            this text

The source queues of the business are made where they are missing; those that exist get STREAMQ and STRMQOS alone.
A dead-letter queue that is set already stays.

Exit status: 0 applied and verified, 1 failed, 2 bad usage.
END
}

bad_usage() {
  printf 'configure.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

fail() {
  printf 'configure.sh: %s\n' "$1" >&2
  exit 1
}

qmgr=QM1 container='' files=''
while [ $# -gt 0 ]; do
  case $1 in
    --help)
      usage
      exit 0
      ;;
    --qmgr | --container | --mqsc) [ -n "${2-}" ] || bad_usage "Cannot use $1: nothing follows, expected a value" ;;
    *) bad_usage "Cannot use the argument \"$1\": not known, expected --qmgr, --container or --mqsc" ;;
  esac
  case $1 in
    --qmgr) qmgr=$2 ;;
    --container) container=$2 ;;
    --mqsc)
      [ -f "$2" ] && [ -r "$2" ] || bad_usage "Cannot read the MQSC file \"$2\": not there, expected a file"
      files="$files$2|"
      ;;
  esac
  shift 2
done

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

program=${container:+docker}
command -v "${program:=runmqsc}" >"$work/path" ||
  fail "Cannot find $program: expected it on PATH. Run this where the queue manager is, or give --container NAME"

# Runs the MQSC of standard input. Status as runmqsc's: 0 all done, 10 some commands failed, 20 none was run.
mqsc() {
  if [ -n "$container" ]; then docker exec -i "$container" runmqsc "$qmgr"; else runmqsc "$qmgr"; fi
}

# The commands of an MQSC file, each on one line, without comments.
commands() {
  awk '/^\*/ || /^[ \t]*$/ { next }
    { sub(/[ \t\r;]+$/, ""); if (text != "") sub(/^[ \t]+/, "") }
    /\+$/ { sub(/\+$/, ""); text = text $0; next }
    { print text $0; text = "" }' "$1"
}

apply() {
  mqsc <"$1" >"$work/output" 2>&1
  status=$?
  # AMQ8150E, the object exists, is what NOREPLACE is for. AMQ8405I is a syntax error.
  failures=$(grep -E '^AMQ[0-9]+[EST]:|^AMQ8405I:' "$work/output" | grep -cv '^AMQ8150E:')
  if [ "$status" -ne 0 ] && { [ "$status" -ne 10 ] || [ "$failures" -gt 0 ]; }; then
    cat "$work/output" >&2
    fail "Cannot apply \"$1\" to $qmgr: runmqsc ended with status $status, see its output above"
  fi
  commands "$1" >>"$work/commands"
  echo "applied $1"
}

if [ -n "$files" ]; then
  while [ -n "$files" ]; do
    apply "${files%%|*}"
    files=${files#*|}
  done
else
  for file in "$root"/mqsc/[0-9]*.mqsc; do
    case $file in
      *-dead-letters.mqsc)
        deadq=$(echo 'DISPLAY QMGR DEADQ' | mqsc | sed -n 's/.*DEADQ( *\([^) ]*\) *).*/\1/p')
        if [ -n "$deadq" ] && [ "$deadq" != MILLRACE.DEAD.LETTERS ]; then
          echo "left out $file: $qmgr has the dead-letter queue $deadq"
          continue
        fi
        ;;
    esac
    apply "$file"
  done
fi

# What shows each object. Other commands set nothing that is looked at here.
sed -nE \
  -e 's/^(DEFINE|ALTER) (QLOCAL|CHANNEL)(\([^)]*\)).*/DISPLAY \2\3 ALL/p' \
  -e 's/^ALTER QMGR .*/DISPLAY QMGR ALL/p' \
  -e 's/^SET CHLAUTH(\([^)]*\)).*/DISPLAY CHLAUTH\1 ALL/p' \
  -e 's/^SET AUTHREC .*OBJTYPE\(QMGR\).*/DISPLAY AUTHREC OBJTYPE(QMGR)/p' \
  -e 's/^SET AUTHREC .*PROFILE(\([^)]*\)).*/DISPLAY AUTHREC PROFILE\1 OBJTYPE(QUEUE)/p' \
  "$work/commands" | sort -u >"$work/displays"
[ -s "$work/displays" ] || fail "Cannot verify $qmgr: the files set nothing that DISPLAY would show"
mqsc <"$work/displays" >"$work/shown" 2>&1

# A command is in force when one of the shown objects has all it says: its KEYWORD(value) pairs, with the names DISPLAY uses.
awk -v quote="'" -v qmgr="$qmgr" '
  function pairs(text, found,   pair, key, value, count, parts, i) {
    text = toupper(text); gsub(quote, "", text); found = "|"
    while (match(text, /[A-Z0-9]+\([^)]*\)/)) {
      pair = substr(text, RSTART, RLENGTH - 1); text = substr(text, RSTART + RLENGTH)
      i = index(pair, "("); key = substr(pair, 1, i - 1); value = substr(pair, i + 1)
      sub(/^ +/, "", value); sub(/ +$/, "", value)
      if (key == "ACTION" || key == "AUTHRMV") continue
      if (key == "QLOCAL") key = "QUEUE"
      if (key == "PRINCIPAL" || key == "GROUP") key = "ENTITY"
      count = 1; parts[1] = value
      if (key == "AUTHADD" || key == "AUTHLIST") { key = "AUTHORITY"; count = split(value, parts, / *, */) }
      for (i = 1; i <= count; i++) found = found key "(" parts[i] ")|"
    }
    return found
  }
  # runmqsc repeats each command behind its number; what it found begins with a message.
  FILENAME == ARGV[1] { if (/^AMQ/) objects++; if (!/^ *[0-9]* *: /) shown[objects] = shown[objects] $0 " "; next }
  FNR == 1 { for (o in shown) shown[o] = pairs(shown[o]) }
  !/^(DEFINE|ALTER) (QLOCAL|CHANNEL|QMGR)|^SET (AUTHREC|CHLAUTH)/ { print "not verified: " $0; next }
  {
    verified++
    # Where an object stays as it is, being there is all that is asked.
    count = split(pairs(/NOREPLACE/ ? substr($0, 1, index($0, ")")) : $0), wanted, "|")
    isThere = count < 3
    for (o in shown) {
      isSame = 1
      for (i = 2; i < count && isSame; i++) isSame = index(shown[o], "|" wanted[i] "|")
      if (isSame && count > 2) isThere = 1
    }
    if (!isThere) { print "not in force: " $0; bad = 1 }
  }
  END { if (bad) exit 1; print "verified " qmgr ": " verified " commands are in force" }
' "$work/shown" "$work/commands" || fail "Cannot verify $qmgr: it does not show what the commands above set"
