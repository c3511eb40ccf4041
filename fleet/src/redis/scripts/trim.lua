-- Removes batches. Keys: epoch, then logs. Arguments: learner, then of each log the first batch to keep.
-- Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end
for i = 2, #KEYS do
  redis.call('XTRIM', KEYS[i], 'MINID', ARGV[i] .. '-0')
end
return 1
