-- Makes a learner the learner of the run. Keys: epoch, lease. Arguments: learner, known, lease in ms.
-- Returns {1, number}, or {0, number, holder, ms until the other's lease lapses}.
local learner, known = ARGV[1], tonumber(ARGV[2])
local number = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
local holder = redis.call('HGET', KEYS[1], 'holder')

if holder ~= learner or number <= known then
  local left = redis.call('PTTL', KEYS[2])
  -- One at or below what the run's folder knows was put there by an older learner.
  if holder and number > known and left > 0 then
    return {0, number, holder, left}
  end
  number = math.max(number, known) + 1
end

-- First a command that a full broker allows: after it, it allows the others.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'number', number, 'holder', learner)
redis.call('SET', KEYS[2], learner, 'PX', ARGV[3])
return {1, number}
