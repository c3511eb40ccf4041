-- Removes all trace of those actors whose logs are empty. Keys: epoch, members, seen, read, joined, prefix of the logs.
-- Arguments: learner, then actors. Returns nothing if the learner does not hold the epoch, else the actors removed.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return false
end
local removed = {}
for i = 2, #ARGV do
  -- It may have come back, if this request lingered in the network.
  if redis.call('XLEN', KEYS[6] .. ARGV[i]) == 0 then
    for key = 2, 5 do
      redis.call('HDEL', KEYS[key], ARGV[i])
    end
    redis.call('DEL', KEYS[6] .. ARGV[i])
    removed[#removed + 1] = ARGV[i]
  end
end
return removed
