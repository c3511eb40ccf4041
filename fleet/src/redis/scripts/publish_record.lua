-- Writes what actors must know of the run. Keys: epoch, record. Arguments: learner, record.
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
-- First a command that a full broker allows: after it, it allows the others.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'number', redis.call('HGET', KEYS[1], 'number'), 'holder', ARGV[1], 'record', ARGV[2])
return 1
