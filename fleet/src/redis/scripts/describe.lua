-- Writes the learner's description of itself. Keys: epoch, learner. Arguments: learner, about.
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
-- First a command that a full broker allows: after it, it allows the others.
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[2])
return 1
