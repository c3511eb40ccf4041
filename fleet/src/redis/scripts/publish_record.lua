-- Writes what actors must know of the run. Keys: epoch, record. Arguments: learner, record.
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
