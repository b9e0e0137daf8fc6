/** The Lua scripts that ask the event log on Redis; its keys are described in redis-log-scripts.ts. They write nothing. */
import { CLOCK, DAY, SPAN_SECONDS } from "./redis-log-scripts.ts";

/**
 * What comes after a cursor, or why nothing can.
 *
 * KEYS: events, meta. ARGV: epoch of the cursor, its ms, its sequence, entries at most, bytes of records at most (one entry always
 * fits), the epoch that stands for "before the first event".
 *
 * Reply: nothing when there is no log; or `events`, epoch, 1 if there is more, id, record, id, record, …; or `expired` or `reset`,
 * epoch, id to go on after, id of the oldest entry kept if there is one.
 */
export const READ_SCRIPT = `
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'ms', 'seq')
local epoch = meta[1]
if not epoch then return {} end
local last = meta[2] .. '-' .. meta[3]
local ms, seq, limit, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- A gap that ends before the entry, or at the tip when nothing is kept behind it. An entry is id, {'p', id before, 'e', record}.
local function gap(kind, entry)
  if entry then return {kind, epoch, entry[2][2], entry[1]} end
  return {kind, epoch, last}
end

if ARGV[1] == ARGV[6] then
  ms, seq = 0, 0
elseif ARGV[1] ~= epoch then
  return gap('reset', redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1])
else
  local ahead = ms - tonumber(meta[2])
  if ahead == 0 then ahead = seq - tonumber(meta[3]) end
  if ahead == 0 then return {'events', epoch, 0} end
  if ahead > 0 then return gap('reset') end
end

local reply = {'events', epoch, 0}
local after = string.format('%.0f-%.0f', ms, seq)
local bytes, read, isFull = 0, 0, false
-- Few at first: as many of the largest records as a page holds. Then as many as there is room for, by what was found.
local count = math.min(limit, 8)
while true do
  local page = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', count)
  if read == 0 then
    local entry = page[1]
    if not entry then return gap('expired') end
    local beforeMs, beforeSeq = string.match(entry[2][2], '^(%d+)-(%d+)$')
    local ahead = beforeMs - ms
    if ahead == 0 then ahead = beforeSeq - seq end
    if ahead > 0 then return gap('expired', entry) end
    -- Behind the cursor: its position never was in this log, which was put back to before it and went on.
    if ahead < 0 then return gap('reset', entry) end
  end
  for at = 1, #page do
    local record = page[at][2][4]
    bytes = bytes + #record
    if read > 0 and bytes > maxBytes then
      isFull = true
      break
    end
    read = read + 1
    after = page[at][1]
    reply[#reply + 1] = after
    reply[#reply + 1] = record
  end
  if isFull or #page < count or read == limit then break end
  count = math.min(limit - read, math.floor((maxBytes - bytes) * read / bytes) + 1)
end
if after ~= last then reply[3] = 1 end
return reply`;

/**
 * One step back through a log, for the newest entries of some types.
 *
 * KEYS: events, meta. ARGV: 1 id to begin before, `+` at the tip, 2 entries at most, 3 bytes of records at most (one entry is always
 * looked at), then each type and how many of it are wanted.
 *
 * Reply: nothing when there is no log; or epoch, id to go on before (empty: this was the beginning, or nothing more is wanted), entries
 * looked at, then id, record, …, newest first.
 */
export const LATEST_SCRIPT = `
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then return {} end
local wanted, missing = {}, 0
for at = 4, #ARGV, 2 do
  wanted[ARGV[at]] = tonumber(ARGV[at + 1])
  missing = missing + wanted[ARGV[at]]
end
local limit, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply = {epoch, '', 0}
local before, bytes, read, isFull = ARGV[1], 0, 0, false
if before ~= '+' then before = '(' .. before end
local count = math.min(limit, 8)
while missing > 0 do
  local page = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', count)
  for at = 1, #page do
    local id, record = page[at][1], page[at][2][4]
    bytes = bytes + #record
    read = read + 1
    before = '(' .. id
    -- The first attribute but one of every record; no type holds a quote.
    local type = string.match(record, '"type":"([^"]*)"')
    if (wanted[type] or 0) > 0 then
      wanted[type] = wanted[type] - 1
      missing = missing - 1
      reply[#reply + 1] = id
      reply[#reply + 1] = record
    end
    reply[2] = id
    isFull = bytes >= maxBytes
    if missing == 0 or isFull then break end
  end
  if missing == 0 or not isFull and #page < count then
    reply[2] = ''
    break
  end
  if isFull or read >= limit then break end
  count = math.min(limit - read, math.floor((maxBytes - bytes) * read / bytes) + 1)
end
reply[3] = read
return reply`;

/**
 * The counters, as of one moment.
 *
 * KEYS: meta, total, today, minutes:0, minutes:1, seconds:0, seconds:1. ARGV: 1-4 starts of local days in ms, ascending.
 *
 * Reply: now in ms; then, when there is a log, epoch, last id, and as field, value, …: total, today, minutes of the hour that is
 * going on, of the hour before, seconds of the span that is going on, of the span before.
 */
export const TALLIES_SCRIPT = `${CLOCK}${DAY}
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'ms', 'seq', 'day', 'hour', 'span')
if not meta[1] then return {int(now)} end
now = math.max(now, tonumber(meta[2]))
-- Of two hashes that take turns: what counts the present, and what counts the time before it.
local function turns(first, length, newest)
  local turn = math.floor(now / length)
  local age = turn - newest
  local current, before = {}, {}
  if age == 0 then current = redis.call('HGETALL', KEYS[first + turn % 2]) end
  if age <= 1 then before = redis.call('HGETALL', KEYS[first + 1 - turn % 2]) end
  return current, before
end
local today = {}
if dayOf(now, 1) == meta[4] then today = redis.call('HGETALL', KEYS[3]) end
local hour, hourBefore = turns(4, 3600000, tonumber(meta[5]))
local span, spanBefore = turns(6, ${SPAN_SECONDS * 1000}, tonumber(meta[6] or 0))
local last, total = meta[2] .. '-' .. meta[3], redis.call('HGETALL', KEYS[2])
return {int(now), meta[1], last, total, today, hour, hourBefore, span, spanBefore}`;
