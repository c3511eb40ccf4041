-- Removes what another run of this name has left, unless this one has begun. Keys: epoch, members, newest, prefix of
-- the logs, prefix of the weights, record, then keys to remove. Arguments: learner. Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end

-- This request lingered in the network, and one after it has done it.
local epoch = redis.call('HMGET', KEYS[1], 'number', 'holder')
local record = redis.call('HMGET', KEYS[6], 'number', 'holder')
if epoch[1] == record[1] and epoch[2] == record[2] then
  return 1
end

for _, actor in ipairs(redis.call('HKEYS', KEYS[2])) do
  redis.call('DEL', KEYS[4] .. actor)
end
local newest = redis.call('HMGET', KEYS[3], 'epoch', 'version', 'before')
if newest[1] then
  redis.call('DEL', KEYS[5] .. newest[1] .. ':' .. newest[2], KEYS[5] .. newest[3])
end
redis.call('DEL', KEYS[2], KEYS[3])
for i = 6, #KEYS do
  redis.call('DEL', KEYS[i])
end
return 1
