-- Says which batch of each log the learner has read last. Keys: epoch, read. Arguments: learner, then actor, batch, …
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
-- First a command that a full broker allows: after it, it allows the others.
redis.call('HDEL', KEYS[2], ARGV[2] or '')
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
return 1
