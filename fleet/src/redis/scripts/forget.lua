-- Removes all trace of those actors whose logs are empty. Keys: epoch, members, seen, read, prefix of the logs. Arguments: learner, then actors.
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
for i = 2, #ARGV do
  -- It may have come back, if this request lingered in the network.
  if redis.call('XLEN', KEYS[5] .. ARGV[i]) == 0 then
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('HDEL', KEYS[3], ARGV[i])
    redis.call('HDEL', KEYS[4], ARGV[i])
    redis.call('DEL', KEYS[5] .. ARGV[i])
  end
end
return 1
