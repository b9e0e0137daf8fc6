/**
 * The Lua scripts of the event log on Redis 6.2 and newer, one call each. What runs between the first and the last line of a script no
 * other client sees (Redis, EVAL: atomicity). Times are by the clock of Redis, so that writers need not agree on theirs.
 *
 * What a company has, all in one cluster slot:
 *
 * | key | what | expires |
 * |---|---|---|
 * | `events` | stream; an entry is `p` (id of the entry before) and `e` (record) | with its last entry |
 * | `meta` | hash: `epoch`, last id as `ms` and `seq`, `slot` and `since` of `seen`, `day` of `today`, `hour` of `minutes`, `span` of `seconds` | never |
 * | `seen:0`, `seen:1` | hashes: event to id, taking turns, also when one is full: `slot` takes what is new, the other one remembers the time before `since` | after two retentions |
 * | `total` | hash: type to events, all-time | never |
 * | `today` | hash: type to events of the local day that began at `day` | after 26 h |
 * | `minutes:0`, `minutes:1` | hashes: `minute:type` to events; even and odd hours, the newest is `hour` | after 3 h |
 * | `seconds:0`, `seconds:1` | hashes: `second:type` to events; even and odd spans of 16 s, the newest is `span` | after 1 min |
 */

/** Seconds one hash of `seconds` covers: two of them always hold the last 11. */
export const SPAN_SECONDS = 16;

/**
 * Ids of one of the two `seen` for each event that may be kept: with a million events 1.1 GB of Redis at most, which a company of 46
 * events/s never reaches within 24 h. Faster ones are protected from duplicates of their last four million events and more.
 */
const REMEMBERED_PER_KEPT = 4;

/** Where all-time counters put the types over the limit. */
const OTHER_TYPE = "other";

/** `now`: milliseconds since 1970. `int`: a number as Redis reads it (Lua's own conversion rounds at 14 digits). */
export const CLOCK = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function int(number) return string.format('%.0f', number) end`;

/** The day of `ms`: the latest of the day starts ARGV[first..first + 3] that is not after it. */
export const DAY = `
local function dayOf(ms, first)
  local day = ARGV[first]
  for at = first + 1, first + 3 do
    if tonumber(ARGV[at]) <= ms then day = ARGV[at] end
  end
  return day
end`;

/**
 * Appends a batch of one company: drops duplicates, stores, counts, trims, wakes.
 *
 * KEYS: events, meta, seen:0, seen:1, total, today, minutes:0, minutes:1, seconds:0, seconds:1.
 *
 * ARGV: 1 channel of wake-ups, 2 epoch if the log is new, 3 retention in ms, 4 events kept at most, 5 bytes of a wake-up at most,
 * 6 types counted at most, 7-10 starts of local days in ms, ascending, 11 n events, 12 k types, 13 type of each event as three digits
 * from 001; then k types, the events of each of them, n identities, and as one argument n records, \\x1e after each (no record holds
 * one). n is at most some 3,000 (Lua: values `unpack` gives).
 *
 * Reply: epoch, 1 if the log is new, ms of the new ids, sequence of the first one (they follow on each other), then for each duplicate
 * its place in the batch (from 1) and the id of the first copy.
 *
 * Published: epoch, id before, first new id, and 1 if the records follow, 0 if they are too large, joined by \\x1e; then, as a message
 * of their own, the records as in ARGV.
 *
 * Whatever can fail (out of memory, a replica) fails at the first write, so a failed call has written nothing.
 */
export const APPEND_SCRIPT = `${CLOCK}${DAY}
local events, metaKey, total, today = KEYS[1], KEYS[2], KEYS[5], KEYS[6]
local retention = tonumber(ARGV[3])
local n, k = tonumber(ARGV[11]), tonumber(ARGV[12])
local types, counts = 13, 13 + k
local identities = counts + k
local records = ARGV[identities + n + 1]

local meta = redis.call('HMGET', metaKey, 'epoch', 'ms', 'seq', 'slot', 'since', 'day', 'hour', 'span')
local isNew = 0
if not meta[1] then
  isNew = 1
  meta = {ARGV[2], '0', '0', '0', now, '', 0, 0}
  -- Left over from a log whose meta is gone.
  redis.call('UNLINK', KEYS[1], unpack(KEYS, 3))
end
local epoch, previous = meta[1], meta[2] .. '-' .. meta[3]

-- When the clock went back, the last millisecond goes on.
local ms, first = now, 0
if now <= tonumber(meta[2]) then
  ms, first = tonumber(meta[2]), tonumber(meta[3]) + 1
end

local slot, since = tonumber(meta[4]), tonumber(meta[5])
-- A runaway producer must not fill Redis with ids.
if now - since >= retention or redis.call('HLEN', KEYS[3 + slot]) >= ${REMEMBERED_PER_KEPT} * tonumber(ARGV[4]) then
  slot, since = 1 - slot, now
  redis.call('UNLINK', KEYS[3 + slot])
end
local seen = KEYS[3 + slot]
local inSeen = redis.call('HMGET', seen, unpack(ARGV, identities + 1, identities + n))
local inOlder = redis.call('HMGET', KEYS[4 - slot], unpack(ARGV, identities + 1, identities + n))

local msPart = int(ms)
local reply = {epoch, isNew, msPart, first}
local prefix = msPart .. '-'
local seq, id = first, previous
local fresh, remember, dropped, added = {}, {}, {}, {}
local from = 1
for at = 1, n do
  local identity = ARGV[identities + at]
  local to = string.find(records, '\\30', from, true)
  local copy = inSeen[at] or inOlder[at] or fresh[identity]
  if copy then
    reply[#reply + 1] = at
    reply[#reply + 1] = copy
    local type = tonumber(string.sub(ARGV[13], 3 * at - 2, 3 * at))
    dropped[type] = (dropped[type] or 0) + 1
  else
    local before, record = id, string.sub(records, from, to - 1)
    id = prefix .. seq
    seq = seq + 1
    redis.call('XADD', events, id, 'p', before, 'e', record)
    fresh[identity] = id
    remember[#remember + 1] = identity
    remember[#remember + 1] = id
    added[#added + 1] = record
  end
  from = to + 1
end
if #added == 0 then
  if since ~= tonumber(meta[5]) then redis.call('HSET', metaKey, 'slot', slot, 'since', int(since)) end
  return reply
end
redis.call('HSET', seen, unpack(remember))
redis.call('PEXPIRE', seen, int(2 * retention))

local day, hour, span = dayOf(ms, 7), math.floor(ms / 3600000), math.floor(ms / ${SPAN_SECONDS * 1000})
-- A log of an older version has no span.
local lastHour, lastSpan = tonumber(meta[7]), tonumber(meta[8] or 0)
local newDay, newHour, newSpan = day ~= meta[6], hour ~= lastHour, span ~= lastSpan
local minutes, seconds = KEYS[7 + hour % 2], KEYS[9 + span % 2]
if newDay then redis.call('UNLINK', today) end
if newHour then
  redis.call('UNLINK', minutes)
  if hour ~= lastHour + 1 then redis.call('UNLINK', KEYS[8 - hour % 2]) end
end
if newSpan then
  redis.call('UNLINK', seconds)
  if span ~= lastSpan + 1 then redis.call('UNLINK', KEYS[10 - span % 2]) end
end
local minute = math.floor(ms / 60000) % 60 .. ':'
local second = math.floor(ms / 1000) % ${SPAN_SECONDS} .. ':'
for at = 1, k do
  local type, count = ARGV[types + at], tonumber(ARGV[counts + at]) - (dropped[at] or 0)
  if count > 0 then
    if redis.call('HINCRBY', total, type, count) == count and redis.call('HLEN', total) > tonumber(ARGV[6]) then
      redis.call('HDEL', total, type)
      type = '${OTHER_TYPE}'
      redis.call('HINCRBY', total, type, count)
    end
    redis.call('HINCRBY', today, type, count)
    redis.call('HINCRBY', minutes, minute .. type, count)
    redis.call('HINCRBY', seconds, second .. type, count)
  end
end
if newDay then redis.call('PEXPIRE', today, 26 * 3600000) end
if newHour then redis.call('PEXPIRE', minutes, 3 * 3600000) end
if newSpan then redis.call('PEXPIRE', seconds, 60000) end

redis.call('XTRIM', events, 'MINID', '~', int(now - retention))
redis.call('XTRIM', events, 'MAXLEN', '~', ARGV[4])
redis.call('PEXPIRE', events, ARGV[3])
redis.call('HSET', metaKey, 'epoch', epoch, 'ms', msPart, 'seq', seq - 1, 'slot', slot, 'since', int(since),
  'day', day, 'hour', hour, 'span', span)

-- Two messages, because Lua hashes every string it makes, byte for byte: records that came joined go on as they are.
local hasRecords = 0
if #added < n then records = table.concat(added, '\\30') .. '\\30' end
if #records <= tonumber(ARGV[5]) then hasRecords = 1 end
redis.call('PUBLISH', ARGV[1], epoch .. '\\30' .. previous .. '\\30' .. prefix .. first .. '\\30' .. hasRecords)
if hasRecords == 1 then redis.call('PUBLISH', ARGV[1], records) end
return reply`;
