-- Writes weights and makes them the newest; keeps those before. Keys: epoch, newest, prefix of the weights.
-- Arguments: learner, version, weights. Returns 1 if the learner holds the epoch.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
  return 0
end

local number, version = tonumber(redis.call('HGET', KEYS[1], 'number')), tonumber(ARGV[2])
local name = number .. ':' .. ARGV[2]
local newest = redis.call('HMGET', KEYS[2], 'epoch', 'version', 'before')
if newest[1] then
  local epoch = tonumber(newest[1])
  -- A request that lingered in the network, or comes a second time.
  if epoch > number or (epoch == number and tonumber(newest[2]) >= version) then
    return 1
  end
end

redis.call('SET', KEYS[3] .. name, ARGV[3])
local last = newest[1] and (newest[1] .. ':' .. newest[2]) or ''
if newest[3] and newest[3] ~= '' then
  redis.call('DEL', KEYS[3] .. newest[3])
end
redis.call('HSET', KEYS[2], 'epoch', number, 'version', ARGV[2], 'before', last)
return 1
