-- Extends a learner's lease. Keys: epoch, lease, stop. Arguments: learner, held, lease in ms.
-- Returns {1, number, 1 if the run is to stop}, or {0, number, holder} of the later epoch.
local learner, held = ARGV[1], tonumber(ARGV[2])
local number = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
local holder = redis.call('HGET', KEYS[1], 'holder')

if holder ~= learner then
  if number > held then
    return {0, number, holder}
  end
  -- The broker has lost the epoch, and perhaps an older learner has come first.
  number = held + 1
end

-- First a command that a full broker allows: after it, it allows the others.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'number', number, 'holder', learner)
redis.call('SET', KEYS[2], learner, 'PX', ARGV[3])
local stop = tonumber(redis.call('GET', KEYS[3]) or '0')
return {1, number, stop >= number and 1 or 0}
