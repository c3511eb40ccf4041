-- Extends an actor's leases and returns the state of the run.
-- Keys: epoch, members, seen, places, the actor's log, newest weights, stop, read, record, joined.
-- Arguments: actor, places, places in the run, lease in ms, about.
-- Returns nothing if there is no run, or no record of its epoch yet; else {number, holder, number of processes that had joined with this one, length of the log, last batch read,
-- 1 if the run is to stop, epoch and version of the newest weights or -1 twice, places…}.
local actor, wanted, in_run = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local epoch = redis.call('HMGET', KEYS[1], 'number', 'holder')
local record = redis.call('HMGET', KEYS[9], 'number', 'holder')
if not epoch[1] or epoch[1] ~= record[1] or epoch[2] ~= record[2] then
  return false
end
local number = tonumber(epoch[1])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- First a command that a full broker allows: after it, it allows the others.
redis.call('HDEL', KEYS[3], actor)
redis.call('HSET', KEYS[2], actor, ARGV[5])
redis.call('HSET', KEYS[3], actor, now)
local joined = redis.call('HGET', KEYS[10], actor)
if not joined then
  joined = redis.call('HINCRBY', KEYS[10], 'count', 1)
  redis.call('HSET', KEYS[10], actor, joined)
end

-- Place → '<actor>:<time at which the lease lapses>'.
local leases = {}
local flat = redis.call('HGETALL', KEYS[4])
for i = 1, #flat, 2 do
  leases[flat[i]] = flat[i + 1]
end

local own, free = {}, {}
for place = 0, in_run - 1 do
  local who, lapses = string.match(leases[tostring(place)] or '', '^(%x+):(%d+)$')
  if not who or tonumber(lapses) <= now then
    free[#free + 1] = place
  elseif who == actor then
    own[#own + 1] = place
  end
end
for i = 1, math.min(#free, wanted - #own) do
  own[#own + 1] = free[i]
end
table.sort(own)
for _, place in ipairs(own) do
  redis.call('HSET', KEYS[4], place, actor .. ':' .. string.format('%.0f', now + tonumber(ARGV[4])))
end

local weights = redis.call('HMGET', KEYS[6], 'epoch', 'version')
local stop = tonumber(redis.call('GET', KEYS[7]) or '0')
local state = {
  number,
  epoch[2],
  tonumber(joined),
  redis.call('XLEN', KEYS[5]),
  tonumber(redis.call('HGET', KEYS[8], actor) or '0'),
  stop >= number and 1 or 0,
  tonumber(weights[1] or '-1'),
  tonumber(weights[2] or '-1'),
}
for _, place in ipairs(own) do
  state[#state + 1] = place
end
return state
