-- Gives a learner's lease up. Keys: epoch, lease. Arguments: learner. Returns 1 if it was held.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[2])
return 1
